"""Whether the W&B server can be used: somebody is logged in, and it answers. Never asks anybody, never waits long."""

import urllib.error
import urllib.request

from ratchet.tracking.guard import within

_ANSWER_SECONDS = 3.0


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
