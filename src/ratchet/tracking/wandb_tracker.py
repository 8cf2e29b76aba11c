"""Report runs to Weights & Biases: offline into the run directory, or online if the server can be reached."""

import logging
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.config import TrackerConfig, TrackerMode
from ratchet.machine import environment
from ratchet.tracking.tracker import Description, Files, Report, run_with_timeout

if TYPE_CHECKING:
    import wandb

_ANSWER_SECONDS = 3.0
log = logging.getLogger(__name__)
_OFFLINE_SECONDS = 30.0  # to start W&B's service process on a busy machine
_ONLINE_SECONDS = 4.0  # for the server to register the run
_QUIET: dict[str, Any] = {"silent": True, "console": "off", "symlink": False, "disable_code": True, "disable_git": True}
_FLUSH_SECONDS = 1.0  # a killed run loses at most the last second
_FINISH_SECONDS = 70.0  # to upload the model; if the server can no longer be reached, _ONLINE_SECONDS apply
_IMPATIENT: dict[str, Any] = {
    "init_timeout": _ONLINE_SECONDS,
    "finish_timeout": 60,
    "finish_timeout_raises": True,
    **{f"x_{kind}_retry_max": 3 for kind in ("graphql", "file_stream", "file_transfer")},
    **{f"x_{kind}_retry_wait_max_seconds": 5 for kind in ("graphql", "file_stream", "file_transfer")},
    "x_graphql_timeout_seconds": 10,
    "x_file_stream_timeout_seconds": 10,
}


def find_reason_for_offline() -> str | None:
    """Return the reason why nothing can be sent to the server, or None if it can."""
    import wandb
    from wandb.sdk.lib import wbauth  # wandb.init uses this function, too, but may prompt for a key

    url = str(wandb.setup().settings.base_url)
    try:
        if wbauth.authenticate_session(host=url, source="ratchet", prompt=False, update_session=False) is None:
            return f"no API key for {url}: set WANDB_API_KEY, or run `wandb login`"
        run_with_timeout(_ANSWER_SECONDS + 1, lambda: _ping(url))  # the look-up of the host name has no timeout
    except Exception as error:
        return f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}"
    return None


def _ping(url: str) -> None:
    """Raise an error unless the server answers. Any HTTP status below 500 will do. Use the environment's proxies."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=_ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code >= 500:
            raise


@contextmanager
def redirect_files(directory: Path) -> Iterator[None]:
    """Let W&B write all its files below `directory`/wandb, and nothing to the terminal, while the block runs."""
    root = directory.resolve() / "wandb"
    paths = {f"WANDB_{name}_DIR": str(root / name.lower()) for name in ("DATA", "CACHE", "ARTIFACT")}
    variables = {**paths, "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    with environment(**variables):
        yield


def open_wandb(
    settings: TrackerConfig, directory: Path, description: Description, warn: Callable[[str], None]
) -> "WandbTracker":
    """Start a new W&B run. If it cannot be online, pass the reason to `warn` and start it offline."""
    if settings.mode is TrackerMode.online:
        reason = run_with_timeout(_OFFLINE_SECONDS, find_reason_for_offline)
        if reason is None:
            try:
                return WandbTracker(_start_run(settings, directory, description, **_IMPATIENT))
            except Exception as error:
                first_line = str(error).split("\n")[0]
                reason = f"the server did not start the run: {type(error).__name__}: {first_line}"
        warn(f"tracker.mode=online: {reason}. W&B writes offline instead")
    return WandbTracker(_start_run(settings, directory, description))


def _start_run(settings: TrackerConfig, directory: Path, description: Description, **online: Any) -> "wandb.Run":
    import wandb

    def start() -> "wandb.Run":
        return wandb.init(
            project=settings.project,
            entity=settings.entity,
            dir=str(directory.resolve()),
            mode="online" if online else "offline",
            reinit="create_new",
            id=description.id,
            name=description.name,
            group=description.group,
            job_type=description.job_type,
            tags=list(description.tags),
            notes=description.notes,
            config=dict(description.config),
            settings=wandb.Settings(**_QUIET, x_transaction_log_flush_interval=_FLUSH_SECONDS, **online),
        )

    before = set(directory.glob("wandb/run-*"))
    try:
        return run_with_timeout(1.5 * _ONLINE_SECONDS if online else _OFFLINE_SECONDS, start)
    except Exception:
        with suppress(Exception):  # W&B's service process still holds the id of the failed run
            run_with_timeout(_ONLINE_SECONDS, _stop_service)
        for leftover in set(directory.glob("wandb/run-*")) - before:
            shutil.rmtree(leftover)
        raise


def _stop_service() -> None:
    """Stop W&B's service process, so that the next run gets a new one with its own directories."""
    import wandb

    if wandb.run is None:  # the user's own W&B run in this process, if any, must continue
        wandb.teardown()


class WandbTracker:
    """One W&B run. It is written to disk in both modes."""

    def __init__(self, run: "wandb.Run") -> None:
        self._run = run
        self._directory = Path(run.dir).parent
        self._has_curves = False
        self._gone: str | None = None  # the reason why the server can no longer be reached

    def configure(self, values: Mapping[str, Any]) -> None:
        """Update the config of the W&B run; a value may replace an earlier one."""
        self._run.config.update(dict(values), allow_val_change=True)  # type: ignore[no-untyped-call]

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Add a row to the history of the W&B run."""
        if not self._has_curves and "epoch" in metrics:
            self._has_curves = True
            self._run.define_metric("*", step_metric="epoch")
        self._run.log({**metrics, "step": step})

    def report(self, build: Callable[[], Report]) -> None:
        """Send the summary, tables, pictures and artifacts with their lineage. Calls that need the server come last.

        Raises:
            ConnectionError: the server can no longer be reached.
        """
        import wandb
        from PIL import Image

        report = build()
        self._run.summary.update(dict(report.summary))
        if self._is_server_gone():
            raise ConnectionError(self._gone)
        for table in report.tables:
            self._run.log(
                {table.name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])}
            )
        for name, picture in report.pictures.items():
            self._run.log({f"charts/{name}": wandb.Image(Image.open(BytesIO(picture)))})
        for files in report.inputs:
            # The private call that use_artifact makes for a new artifact. use_artifact itself raises an error offline,
            # and waits for the upload online.
            self._run._log_artifact(_build_artifact(files), is_user_created=True, use_after_commit=True)
        for files in report.outputs:
            self._run.log_artifact(_build_artifact(files))

    def finish(self, error: str | None = None) -> None:
        """End the run as finished or failed. Log how to upload the data that the server does not have.

        Raises:
            TimeoutError: the upload takes too long.
        """
        if error is not None:
            self._run.summary["error"] = error
        try:
            seconds = _ONLINE_SECONDS if self._is_server_gone() else _FINISH_SECONDS
            run_with_timeout(seconds, lambda: self._run.finish(exit_code=0 if error is None else 1))
        except TimeoutError as timeout:
            raise TimeoutError(
                f"{self._gone or timeout}. To upload the rest later: wandb sync {self._directory}"
            ) from timeout
        finally:
            with suppress(Exception):
                run_with_timeout(_ONLINE_SECONDS, _stop_service)
        if self._run.offline:
            log.info("tracker: W&B offline; to upload it later: wandb sync %s", self._directory)

    def _is_server_gone(self) -> bool:
        if not self._run.offline and self._gone is None:
            self._gone = run_with_timeout(_OFFLINE_SECONDS, find_reason_for_offline)
        return self._gone is not None


def _build_artifact(files: Files) -> "wandb.Artifact":
    """Build an artifact that refers to the files in the run directory: they are read on upload and not copied."""
    import wandb

    artifact = wandb.Artifact(files.name, type=files.kind, metadata=dict(files.metadata))
    for name, path in files.files.items():
        artifact.add_file(str(path.resolve()), name=name, policy="immutable", skip_cache=True)
    return artifact
