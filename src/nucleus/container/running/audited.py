"""What the audit log is told of containers: their start, and what is done to them.  ✗ its form (`observe/audit.py`)."""

from __future__ import annotations

import os
import time

from ...base.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...observe.audit import AuditRecord
    from ...state.record import ContainerRecord
    from ..prepared import Prepared


def note_start(prepared: Prepared) -> None:
    """Record the start where --audit-log says.  Raises HostUnsupported: what cannot be recorded is not started."""
    record = prepared.record
    if record is None or not record.spec.get("audit_log"):
        return
    from ...observe import audit

    path = str(record.spec["audit_log"])
    if not audit.write(path, _started(prepared, record)):
        raise HostUnsupported(
            f"{path} cannot be written",
            where="--audit-log",
            remedy="free some space there, or name another file",
        )


def note_act(record: ContainerRecord | None, kind: str, command: Sequence[str] = ()) -> None:
    """Record what somebody does to a container that keeps an audit log."""
    if record is None or not record.spec.get("audit_log"):
        return
    from ...observe import audit

    audit.write(str(record.spec["audit_log"]), audit.acted(kind, record.id, record.name, command))


def _started(prepared: Prepared, record: ContainerRecord) -> AuditRecord:
    from ...base.jsontext import digest
    from ...observe.audit import AuditRecord, Security
    from ...observe.redaction import redact

    steps = {step.name for step in prepared.plan.steps} if prepared.plan else set()
    security = Security(
        seccomp=record.spec["seccomp_profile"] if steps & {"set-seccomp", "trace-seccomp"} else "none",
        landlock="landlock-restrict" in steps, capabilities=record.capabilities,
        no_new_privs="no-new-privileges" in steps, rootless=record.rootless, network=record.network,
        uid=record.uid, gid=record.gid, degraded=record.degraded, pids_by=record.pids_by,
    )  # fmt: skip
    return AuditRecord(
        time_ns=time.time_ns(), type="container_start", id=record.id, name=record.name,
        caller_uid=os.getuid(), caller_pid=os.getpid(), command=tuple(redact(record.command)),
        environment=tuple(sorted(key for key, _ in record.spec["env"])), sources=_sources(record),
        limits=record.limits, security=security, spec_hash=record.spec_hash,
        plan_hash=digest(prepared.encoded),
    )  # fmt: skip


def _sources(record: ContainerRecord) -> tuple[str, ...]:
    """What of the host the container gets, SOURCE:TARGET."""
    spec = record.spec
    rows = [v for key in ("volumes", "provider_config_ro", "provider_config_rw") for v in spec.get(key, ())]
    volumes = [v if isinstance(v, dict) else v.as_dict() for v in rows]
    found = [f"{v['source']}:{v['target']}" for v in volumes]
    for key in ("workspace", "context"):
        found += [f"{spec[key]}:/{key}"] if spec[key] else []
    return tuple(found)
