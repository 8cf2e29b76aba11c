"""Report runs to Weights & Biases: offline into the run directory, or online where that works."""

import logging
import os
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ratchet.config import TrackerConfig, TrackerMode
from ratchet.tracking.tracker import Description, Files, Report, within

if TYPE_CHECKING:
    import wandb

_ANSWER_SECONDS = 3.0
log = logging.getLogger(__name__)
_OFFLINE_SECONDS = 30.0  # to start W&B's own process on a busy machine
_ONLINE_SECONDS = 4.0  # for the server to register the run
_QUIET: dict[str, Any] = {"silent": True, "console": "off", "symlink": False, "disable_code": True, "disable_git": True}
_FLUSH_SECONDS = 1.0  # what a killed run loses at most
_FINISH_SECONDS = 70.0  # for the model to be uploaded; a server that has gone away is given as long as at the start
_IMPATIENT: dict[str, Any] = {
    "init_timeout": _ONLINE_SECONDS,
    "finish_timeout": 60,
    "finish_timeout_raises": True,
    **{f"x_{kind}_retry_max": 3 for kind in ("graphql", "file_stream", "file_transfer")},
    **{f"x_{kind}_retry_wait_max_seconds": 5 for kind in ("graphql", "file_stream", "file_transfer")},
    "x_graphql_timeout_seconds": 10,
    "x_file_stream_timeout_seconds": 10,
}


def reason_to_stay_offline() -> str | None:
    """Why nothing can be sent, in words; None where it can."""
    import wandb
    from wandb.sdk.lib import wbauth  # what wandb.init asks itself, but for its prompt

    url = str(wandb.setup().settings.base_url)
    try:
        if wbauth.authenticate_session(host=url, source="ratchet", prompt=False, update_session=False) is None:
            return f"no API key for {url}: set WANDB_API_KEY, or run `wandb login`"
        within(_ANSWER_SECONDS + 1, lambda: _ask(url))  # a name server has no timeout of its own
    except Exception as error:
        return f"{url}: {getattr(error, 'reason', None) or error or type(error).__name__}"
    return None


def _ask(url: str) -> None:
    """Any answer will do, but that it cannot answer; proxies of the environment are used."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/healthz", timeout=_ANSWER_SECONDS):
            pass
    except urllib.error.HTTPError as answer:
        answer.close()
        if answer.code >= 500:
            raise


@contextmanager
def staging(directory: Path) -> Iterator[None]:
    """While the block runs, W&B keeps everything that it writes below `directory`/wandb, and keeps quiet."""
    root = directory.resolve() / "wandb"
    places = {f"WANDB_{name}_DIR": str(root / name.lower()) for name in ("DATA", "CACHE", "ARTIFACT")}
    wanted = {**places, "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def open_wandb(
    settings: TrackerConfig, directory: Path, description: Description, warn: Callable[[str], None]
) -> "WandbTracker":
    """Begin a W&B run of its own; where it cannot be online, offline, and `warn` is told why."""
    if settings.mode is TrackerMode.online:
        reason = within(_OFFLINE_SECONDS, reason_to_stay_offline)
        if reason is None:
            try:
                return WandbTracker(_begin(settings, directory, description, **_IMPATIENT))
            except Exception as error:
                first_line = str(error).split("\n")[0]
                reason = f"the server begins no run: {type(error).__name__}: {first_line}"
        warn(f"tracker.mode=online: {reason}. W&B writes offline instead")
    return WandbTracker(_begin(settings, directory, description))


def _begin(settings: TrackerConfig, directory: Path, description: Description, **online: Any) -> "wandb.Run":
    import wandb

    def begin() -> "wandb.Run":
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
            config=dict(description.config),
            settings=wandb.Settings(**_QUIET, x_transaction_log_flush_interval=_FLUSH_SECONDS, **online),
        )

    before = set(directory.glob("wandb/run-*"))
    try:
        return within(1.5 * _ONLINE_SECONDS if online else _OFFLINE_SECONDS, begin)
    except Exception:
        with suppress(Exception):  # its process still holds the id of the run that did not come about
            within(_ONLINE_SECONDS, _end_process)
        for left in set(directory.glob("wandb/run-*")) - before:
            shutil.rmtree(left)
        raise


def _end_process() -> None:
    """End W&B's own process, so that the next run gets one with its own directories."""
    import wandb

    if wandb.run is None:  # nobody else's run is going on in this process
        wandb.teardown()


class WandbTracker:
    """One W&B run, which is on disk too, whether it is online or not."""

    def __init__(self, run: "wandb.Run") -> None:
        self._run = run
        self._directory = Path(run.dir).parent
        self._has_curves = False
        self._gone: str | None = None  # why the server cannot be reached any more

    def configure(self, values: Mapping[str, Any]) -> None:
        """Into W&B's config."""
        self._run.config.update(dict(values))  # type: ignore[no-untyped-call]

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """A line of W&B's history."""
        if not self._has_curves and "epoch" in metrics:
            self._has_curves = True
            self._run.define_metric("*", step_metric="epoch")
        self._run.log({**metrics, "step": step})

    def report(self, make: Callable[[], Report]) -> None:
        """The summary, tables, pictures, artifacts with lineage: what needs an answer of the server comes last."""
        import wandb
        from PIL import Image

        made = make()
        self._run.summary.update(dict(made.summary))
        if self._server_is_gone():
            raise ConnectionError(self._gone)
        for table in made.tables:
            self._run.log(
                {table.name: wandb.Table(columns=list(table.columns), data=[list(row) for row in table.rows])}
            )
        for name, picture in made.pictures.items():
            self._run.log({f"charts/{name}": wandb.Image(Image.open(BytesIO(picture)))})
        for files in made.used:
            # What use_artifact does with a new artifact; that one refuses offline, and online waits for the upload.
            self._run._log_artifact(_artifact(files), is_user_created=True, use_after_commit=True)
        for files in made.made:
            self._run.log_artifact(_artifact(files))

    def finish(self, error: str | None = None) -> None:
        """Finished or failed, and how to upload later what the server does not have."""
        if error is not None:
            self._run.summary["error"] = error
        try:
            patience = _ONLINE_SECONDS if self._server_is_gone() else _FINISH_SECONDS
            within(patience, lambda: self._run.finish(exit_code=0 if error is None else 1))
        except TimeoutError as late:
            raise TimeoutError(
                f"{self._gone or late}. To upload the rest later: wandb sync {self._directory}"
            ) from late
        finally:
            with suppress(Exception):
                within(_ONLINE_SECONDS, _end_process)
        if self._run.offline:
            log.info("tracker: W&B offline; to upload it later: wandb sync %s", self._directory)

    def _server_is_gone(self) -> bool:
        if not self._run.offline and self._gone is None:
            self._gone = within(_OFFLINE_SECONDS, reason_to_stay_offline)
        return self._gone is not None


def _artifact(files: Files) -> "wandb.Artifact":
    """The files stay where they are: they are read from the run directory when they are uploaded, never copied."""
    import wandb

    artifact = wandb.Artifact(files.name, type=files.kind, metadata=dict(files.metadata))
    for name, path in files.files.items():
        artifact.add_file(str(path.resolve()), name=name, policy="immutable", skip_cache=True)
    return artifact
