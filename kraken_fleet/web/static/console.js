// Live updates and selection. Everything here is a convenience: the pages work without it.
"use strict";

(() => {
  const root = document.body.dataset.root;
  const link = document.getElementById("link");

  // --- selection: "all on this page", the number of selected, and a question before what cannot be undone

  const boxes = () => [...document.querySelectorAll('tbody input[type="checkbox"]')];

  function count() {
    const output = document.getElementById("count");
    if (!output) return;
    const ticked = boxes().filter((box) => box.checked).length;
    output.textContent = ticked ? `${ticked} selected` : "";
    const all = document.getElementById("all");
    if (all) {
      all.checked = ticked > 0 && ticked === boxes().length;
      all.indeterminate = ticked > 0 && !all.checked;
    }
  }

  document.addEventListener("change", (event) => {
    if (event.target.id === "all") boxes().forEach((box) => { box.checked = event.target.checked; });
    if (event.target.matches('input[type="checkbox"]')) count();
  });

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-confirm]");
    if (button && !window.confirm(button.dataset.confirm)) event.preventDefault();
  });

  // --- time: distances count up by themselves

  function ago(seconds) {
    for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
      if (seconds >= size) return `${Math.floor(seconds / size)} ${unit} ago`;
    }
    return `${Math.max(Math.floor(seconds), 0)} s ago`;
  }

  const say = (element, text) => { if (element.textContent !== text) element.textContent = text; };

  const CLOCKS = {
    full: { dateStyle: "medium", timeStyle: "short" },
    minute: { hour: "2-digit", minute: "2-digit" },
  };

  // Dates and times are shown in the reader's own time zone.
  function tell() {
    document.querySelectorAll("time[datetime]").forEach((element) => {
      const moment = new Date(element.dateTime);
      const clock = CLOCKS[element.dataset.clock];
      if (clock) {
        say(element, moment.toLocaleString(undefined, clock));
      } else {
        say(element, ago((Date.now() - moment) / 1000));
      }
      element.title = moment.toLocaleString(undefined, { dateStyle: "full", timeStyle: "long" });
    });
  }

  setInterval(tell, 1000);
  tell();

  // --- copying: a button on each command

  async function copy(text) {
    // Browsers give the clipboard to pages with https or of this machine only.
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser does not copy");
  }

  document.querySelectorAll("pre[data-copy]").forEach((pre) => {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "quiet", textContent: "Copy" });
    button.setAttribute("aria-label", `Copy: ${pre.getAttribute("aria-label")}`);
    button.addEventListener("click", async () => {
      try {
        await copy(pre.textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Not copied";
      }
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    const frame = document.createElement("div");
    frame.className = "copied";
    pre.replaceWith(frame);
    frame.append(pre, button);
  });

  // --- live: the server says that something changed; the page's live part is fetched and put in its place

  let fetching = false;

  async function refresh() {
    const live = document.getElementById("live");
    if (!live || fetching || live.contains(document.activeElement?.closest("details, fieldset"))) return;
    fetching = true;
    try {
      const response = await fetch(window.location.href, { headers: { Accept: "text/html" } });
      if (!response.ok || response.redirected) return;
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = page.getElementById("live");
      if (next) replace(live, next);
      const status = page.getElementById("status");
      if (status) document.getElementById("status")?.replaceWith(document.adoptNode(status));
      tell();
    } finally {
      fetching = false;
    }
  }

  function replace(live, next) {
    const ticked = new Set(boxes().filter((box) => box.checked).map((box) => box.value));
    const before = new Map([...live.querySelectorAll("tbody tr")].map((row) => [keyOf(row), textOf(row)]));
    const log = live.querySelector(".log");
    const atEnd = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 20;
    next.querySelectorAll("tbody tr").forEach((row) => {
      if (before.size && before.get(keyOf(row)) !== textOf(row)) row.classList.add("fresh");
    });
    live.replaceWith(document.adoptNode(next));
    boxes().forEach((box) => { box.checked = ticked.has(box.value); });
    count();
    const newLog = document.querySelector("#live .log");
    if (newLog && atEnd) newLog.scrollTop = newLog.scrollHeight;
  }

  const keyOf = (row) => row.querySelector("th")?.textContent;
  const textOf = (row) => [...row.cells].map((cell) => (cell.querySelector("time") ? "" : cell.textContent)).join("|");

  function show(state, text) {
    if (!link) return;
    link.className = `link ${state}`;
    link.textContent = text;
  }

  if ("live" in document.body.dataset && "EventSource" in window) {
    const events = new EventSource(`${root}/live?since=${document.body.dataset.live}`);
    events.addEventListener("open", () => show("on", "live"));
    events.addEventListener("changed", () => { show("on", "live"); refresh(); });
    events.addEventListener("unreachable", () => show("off", "server does not answer"));
    events.addEventListener("error", () => show("off", "not connected"));
    window.addEventListener("pagehide", () => events.close());
    // A running job's log grows without the fleet changing.
    setInterval(() => { if (document.querySelector("#live[data-follow]")) refresh(); }, 1000);
  }

  count();
})();
