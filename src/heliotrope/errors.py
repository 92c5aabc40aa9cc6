"""Every error of the house.

HelioError                       what went wrong, why, and what to do about it
├── UsageError                   a command or a call that cannot mean anything
├── ConfigError                  a setting: names the file, the key and the key that was probably meant
├── InvalidInput                 data from a person: names file, line, field, found, allowed
│   ├── SignalMismatch           signals of different kinds were about to be mixed
│   ├── SignalGap                hours are missing where a number was asked for
│   └── UnknownName              a plug-in, device, site or run that does not exist
│       └── UnknownZone          a grid zone nobody here knows
├── ProviderError                the outside world, over the network
│   ├── ProviderDenied           401, 403: the key
│   ├── ProviderBusy             429: the budget of calls
│   ├── ProviderDown             5xx, time-outs, no route
│   └── ProviderGarbled          an answer that is not what its documentation says
├── MeterError                   a meter that cannot be read
├── PlugInFault                  a plug-in that does not load, fails, or gives what cannot be
├── Infeasible                   no plan meets every limit: names those that clash and what would do
├── RunError                     a run that could not be carried out
│   ├── EngineError              the engine cannot do it now, or vanished
│   │   └── EngineRefused        the engine will not have it, now or later
│   ├── StaleRequest             said before something that was heard already
│   ├── SignInRefused            nobody known: no token, or one that is wrong, too old or taken back
│   ├── NotAllowed               somebody known, and not theirs to do
│   ├── QuotaReached             an organisation that has as many jobs as it may
│   ├── Deposed                  another controller leads now
│   └── IllegalTransition        the life cycle has no such step
├── StoreError                   the durable store
├── ProofError                   something that should be provable is not
│   ├── BadNote                  not a signed note
│   ├── BadSignature             a signature that does not verify
│   ├── BadProof                 a Merkle proof that does not lead to its root
│   ├── SplitView                two histories where there may be one: everything stops
│   └── ChainRefused             a chain or its contract would not have it
└── MissingExtra                 an optional dependency: prints the exact pip line
"""

from __future__ import annotations

from collections.abc import Iterable


class HelioError(Exception):
    """`what` is one line; `cause` says why; `hint` says what to do."""

    exit_code = 1

    def __init__(self, what: str, *, cause: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.cause = cause
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.cause:
            lines.append(f"cause: {self.cause}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


class UsageError(HelioError):
    exit_code = 2


class ConfigError(HelioError):
    exit_code = 2


class InvalidInput(HelioError):
    """Bad data from a person. `where` reads `file:line: field`, as much of it as is known."""

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        file: str = "",
        line: int | None = None,
        field: str = "",
        found: object = None,
        allowed: str = "",
        cause: str = "",
        hint: str = "",
    ) -> None:
        where = file + (f":{line}" if line is not None else "")
        where = ": ".join(part for part in (where, field) if part)
        facts = [] if found is None else [f"found {found!r}"]
        facts += [f"allowed: {allowed}"] if allowed else []
        super().__init__(
            f"{where}: {what}" if where else what,
            cause="; ".join(part for part in (cause, *facts) if part),
            hint=hint,
        )
        self.file, self.line, self.field, self.found, self.allowed = file, line, field, found, allowed


class SignalMismatch(InvalidInput):
    pass


class SignalGap(InvalidInput):
    pass


class UnknownName(InvalidInput):
    pass


class UnknownZone(UnknownName):
    pass


class ProviderError(HelioError):
    pass


class ProviderDenied(ProviderError):
    pass


class ProviderBusy(ProviderError):
    pass


class ProviderDown(ProviderError):
    pass


class ProviderGarbled(ProviderError):
    pass


class MeterError(HelioError):
    pass


class PlugInFault(HelioError):
    pass


class Infeasible(HelioError):
    exit_code = 3


class RunError(HelioError):
    pass


class EngineError(RunError):
    pass


class EngineRefused(EngineError):
    pass


class StaleRequest(RunError):
    """`last`: the largest number that was used."""

    def __init__(self, what: str, *, last: int) -> None:
        super().__init__(what, cause=f"the last was {last}")
        self.last = last


class SignInRefused(RunError):
    pass


class NotAllowed(RunError):
    pass


class QuotaReached(RunError):
    pass


class Deposed(RunError):
    pass


class IllegalTransition(RunError):
    pass


class StoreError(HelioError):
    pass


class ProofError(HelioError):
    exit_code = 4


class BadNote(ProofError):
    pass


class BadSignature(ProofError):
    pass


class BadProof(ProofError):
    pass


class SplitView(ProofError):
    pass


class ChainRefused(ProofError):
    pass


class MissingExtra(HelioError):
    """`extra` is the name in pyproject.toml that brings `package`."""

    def __init__(self, package: str, extra: str, *, needed_for: str) -> None:
        super().__init__(
            f"{needed_for} needs {package}, which is not installed",
            hint=f"pip install 'heliotrope[{extra}]'",
        )
        self.extra = extra


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint that names what was probably meant, else what there is."""
    import difflib

    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(close)}?"
    shown = ", ".join(names[:12]) + (f" … ({len(names)} in all)" if len(names) > 12 else "")
    return f"known: {shown or 'none'}"
