"""What things are: frozen values, no I/O. Kraken's own names throughout."""

from kraken_fleet.model.activity import SILENT_AFTER, Activity, activity_of
from kraken_fleet.model.agent import NO_JOBS_KEY, Agent, GroupRef, HostInfo, JobRef
from kraken_fleet.model.change import Change
from kraken_fleet.model.deploy import RESULTS_VERSION, Deploy, HostResult, TaskResult
from kraken_fleet.model.deployment import MANUAL, METHODS, Deployment, DesiredGroup, Secret
from kraken_fleet.model.disabling import LONGEST_NOTE, Disabling
from kraken_fleet.model.fleet import DesiredAgent, DesiredFleet, ObservedFleet, UncheckedUpdates, UnreadFile
from kraken_fleet.model.group import ALL_GROUP, AgentsGroup
from kraken_fleet.model.host_names import HostNames
from kraken_fleet.model.job import Job, JobState, LogLine, Run, RunState, Step, StepStatus, System
from kraken_fleet.model.moments import ago, parse_moment, parse_span, span
from kraken_fleet.model.own_groups import Owner, OwnGroup, is_earlier_group, is_own_group
from kraken_fleet.model.resources import Resources
from kraken_fleet.model.server_account import ServerAccount
from kraken_fleet.model.trust import UNREAD_TRUST, DesiredTrust, TrustRule
from kraken_fleet.model.untrusted_text import ip_of, is_host_name, names_a_host, shown
from kraken_fleet.model.user import User
from kraken_fleet.model.workflow import Branch, Flow, Project, Stage

__all__ = [
    "ALL_GROUP",
    "LONGEST_NOTE",
    "MANUAL",
    "METHODS",
    "NO_JOBS_KEY",
    "RESULTS_VERSION",
    "SILENT_AFTER",
    "UNREAD_TRUST",
    "Activity",
    "Agent",
    "AgentsGroup",
    "Branch",
    "Change",
    "Deploy",
    "Deployment",
    "DesiredAgent",
    "DesiredFleet",
    "DesiredGroup",
    "DesiredTrust",
    "Disabling",
    "Flow",
    "GroupRef",
    "HostInfo",
    "HostNames",
    "HostResult",
    "Job",
    "JobRef",
    "JobState",
    "LogLine",
    "ObservedFleet",
    "OwnGroup",
    "Owner",
    "Project",
    "Resources",
    "Run",
    "RunState",
    "Secret",
    "ServerAccount",
    "Stage",
    "Step",
    "StepStatus",
    "System",
    "TaskResult",
    "TrustRule",
    "UncheckedUpdates",
    "UnreadFile",
    "User",
    "activity_of",
    "ago",
    "ip_of",
    "is_earlier_group",
    "is_host_name",
    "is_own_group",
    "names_a_host",
    "parse_moment",
    "parse_span",
    "shown",
    "span",
]
