export function add(left: number, right: number) {
  debugger;
  return left + right;
}
