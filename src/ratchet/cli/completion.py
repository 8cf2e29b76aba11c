"""Complete words on TAB: `ratchet completion bash|zsh|fish` prints a script for the shell."""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ratchet.cli.main import VERBS, actions_of
from ratchet.cli.selecting import SelectingOptions
from ratchet.config import Config, choices_of, configs_of
from ratchet.errors import UserError, did_you_mean
from ratchet.models import all_settings
from ratchet.project import CONF

SHELLS = ("bash", "zsh", "fish")
_OVERRIDES = ("train", "evaluate", "data describe", "data fetch")  # what takes overrides of the configuration
_OFFERS = r"""_ratchet_offers() ( # what may stand at the end of the line $1, one a line; in POSIX sh
  [ -z "${ZSH_VERSION-}" ] || emulate sh
  conf=@CONF@
  last=${1##*[[:space:]]}
  set -f
  set -- ${1%"$last"}
  set +f
  shift
  place=${1-} depth=$# words= keys= takes_run= values=
  case '@PLACES@' in *"|${1-} ${2-}|"*) place="$1 $2" depth=$(($# - 1)) ;; esac
  case $place in
@OFFERED@
  esac
  case $last in
  *=*)
    key=${last%%=*} begun=${last%"${last##*[=,]}"}
    case "$place:$key" in
@VALUES@
    esac
    for value in $values; do printf '%s\n' "$begun$value"; done
    [ -d "$conf/$key" ] || exit 0
    for file in "$conf/$key"/*.yaml "$conf/$key"/*/*.yaml; do
      [ -f "$file" ] || continue
      file=${file#"$conf/$key/"}
      printf '%s\n' "$begun${file%.yaml}"
    done
    ;;
  *)
    if [ "$depth" -le 1 ]; then
      for word in $words; do printf '%s\n' "$word"; done
      if [ -n "$takes_run" ]; then
        echo last
        for record in runs/*/*/*/record.json; do
          [ -f "$record" ] || continue
          record=${record%/record.json}
          printf '%s\n' "${record##*/}"
        done
      fi
    fi
    for key in $keys; do printf '%s\n' "$key="; done
    ;;
  esac
)
"""
_BASH = r"""_ratchet() {
  local offer begun line=${COMP_LINE:0:COMP_POINT}
  local last=${line##*[[:space:]]}
  COMPREPLY=()
  while IFS= read -r offer; do
    [[ $offer != "$last"* ]] || COMPREPLY+=("$offer")
  done < <(_ratchet_offers "$line")
  if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
  if [[ $COMP_WORDBREAKS == *=* && $last == *=* ]]; then # bash puts in what follows the last = alone
    begun=${last%"${last##*=}"}
    COMPREPLY=("${COMPREPLY[@]#"$begun"}")
  fi
}
complete -o default -F _ratchet ratchet
"""
_ZSH = r"""_ratchet() {
  local -a offers
  offers=("${(@f)$(_ratchet_offers "${(j: :)words[1,CURRENT-1]} $PREFIX")}")
  compadd -S '' -- ${(M)offers:#*=}
  compadd -- ${offers:#*=}
  [[ $PREFIX != *=* ]] || { compset -P '*=' && _files }
}
compdef _ratchet ratchet
"""
_FISH = r"""
function _ratchet_complete
    sh -c $_ratchet_offers\n'_ratchet_offers "$1"' sh (commandline --cut-at-cursor --current-process | string collect)
end
complete --command ratchet --no-files --arguments '(_ratchet_complete)'
"""


@dataclass
class Place:
    """What may follow `ratchet VERB` or `ratchet VERB ACTION`: words, and keys with their values (none: any text)."""

    words: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    takes_run: bool = False


def places() -> dict[str, Place]:
    """Every place by the words that lead to it: "" before a verb, then `runs`, `runs show`, and so on."""
    found = {"": Place([*VERBS, "help"])}
    further = {"train": ["-m"], "gate": ["--check"], "models": configs_of("model"), "completion": SHELLS}
    for verb, said in VERBS.items():
        actions = actions_of(verb)
        named = [action for action in actions if action]
        alone = _place(verb, actions.get(""))
        alone.words += [*named, *further.get(verb, [])]
        if not named:
            alone.takes_run = bool(re.search(r"\bRUN\b", said))
            alone.keys |= {key: alone.keys.get(key, []) for key in re.findall(r"(\w+)=", said)}
        found[verb] = alone
        for action in named:
            place = found[f"{verb} {action}"] = _place(f"{verb} {action}", actions[action])
            place.takes_run = f"{action} RUN" in said
    return found


def _place(words: str, options: type | None) -> Place:
    keys = {each.name: choices_of(each.type) for each in fields(options)} if options else {}
    if options is not None and issubclass(options, SelectingOptions):
        keys["objective"] = []
    if words in _OVERRIDES:
        keys |= dict(_keys_of(Config)) if words == "train" else {}
        keys |= {path.name: [] for path in CONF.iterdir() if path.is_dir() and path.name != "objective"}
    return Place(["--help", *["--config-dir"] * (words in _OVERRIDES)], keys)


def _keys_of(schema: type, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """The keys of a configuration with dots between its nodes; those of `model` are the settings of all models."""
    for each in fields(schema):
        key = f"{prefix}{each.name}"
        if key == "model":
            for settings in all_settings().values():
                yield from _keys_of(settings, "model.")
        elif is_dataclass(each.type):
            yield from _keys_of(_class(each.type), f"{key}.")
        elif key != "sweep_id":  # a grid's own
            yield key, choices_of(each.type)


def _class(kind: Any) -> type:
    assert isinstance(kind, type)
    return kind


def run(arguments: list[str]) -> int:
    """The verb `completion`."""
    if len(arguments) != 1:
        raise UserError(f"completion: for which shell? {', '.join(SHELLS)}")
    [shell] = arguments
    if shell not in SHELLS:
        raise UserError(f"completion {shell}: {did_you_mean(shell, SHELLS)}")
    offers = _offers(places())
    if shell == "fish":
        quoted = offers.replace("\\", "\\\\").replace("'", "\\'")
        print(f"set --global _ratchet_offers '{quoted}'{_FISH}", end="")
    else:
        print(offers + {"bash": _BASH, "zsh": _ZSH}[shell], end="")
    return 0


def _offers(found: Mapping[str, Place]) -> str:
    """The function that all shells share, for these places."""
    values: dict[str, list[str]] = {}
    for words, place in found.items():
        for key, choices in place.keys.items():
            if choices:
                values.setdefault(" ".join(choices), []).append(shlex.quote(f"{words}:{key}"))
    parts = {
        "@CONF@": shlex.quote(str(CONF)),
        "@PLACES@": f"|{'|'.join(found)}|",
        "@OFFERED@": "\n".join(_offered(words, place) for words, place in found.items()),
        "@VALUES@": "\n".join(f"    {' | '.join(cases)}) values='{choices}' ;;" for choices, cases in values.items()),
    }
    text = _OFFERS
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _offered(words: str, place: Place) -> str:
    run = " takes_run=1" if place.takes_run else ""
    return f"  '{words}') words='{' '.join(place.words)}' keys='{' '.join(place.keys)}'{run} ;;"
