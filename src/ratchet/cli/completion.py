"""Complete words on TAB: `ratchet completion bash|zsh|fish` prints a script for the shell."""

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from ratchet.cli.help import VERBS, Action, find_options
from ratchet.config import Config, choices_of, configs_of
from ratchet.errors import UserError, did_you_mean
from ratchet.models import packaged_modules, settings_class
from ratchet.project import PACKAGED

SHELLS = ("bash", "zsh", "fish")
_OFFERS = r"""_ratchet_offers() ( # print the words that can end the line $1, one per line; POSIX sh
  [ -z "${ZSH_VERSION-}" ] || emulate sh
  packaged=@CONF@ project=$PWD
  until [ -f "$project/ratchet.yaml" ] || [ -e "$project/.git" ] || [ -z "$project" ]; do project=${project%/*}; done
  [ -f "$project/ratchet.yaml" ] || project=$PWD
  project=${RATCHET_PROJECT:-$project}
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
    for conf in "$project/conf" "$packaged"; do
      [ -d "$conf/$key" ] || continue
      for file in "$conf/$key"/*.yaml "$conf/$key"/*/*.yaml; do
        [ -f "$file" ] || continue
        file=${file#"$conf/$key/"}
        printf '%s\n' "$begun${file%.yaml}"
      done
    done | sort -u
    ;;
  *)
    if [ "$depth" -le 1 ]; then
      for word in $words; do printf '%s\n' "$word"; done
      if [ -n "$takes_run" ]; then
        echo last
        for record in "$project"/runs/*/*/*/record.json; do
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
  if [[ $COMP_WORDBREAKS == *=* && $last == *=* ]]; then # bash inserts only what follows the last =
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
    """Words and keys that can follow `ratchet VERB [ACTION]`; each key with its allowed values (none: any text)."""

    words: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    takes_run: bool = False


def list_places() -> dict[str, Place]:
    """Return every place by the words before it: "" before a verb, then `runs`, `runs show`, and so on."""
    all_places = {"": Place([*VERBS, "help"])}
    further = {"train": ["-m"], "models": configs_of("model"), "completion": SHELLS}
    for verb, described in VERBS.items():
        options = find_options(verb)
        for action, content in described.actions.items():
            words = f"{verb} {action}".strip()
            all_places[words] = _build_place(words, content, options.get(action))
        first = all_places.setdefault(verb, _build_place(verb, Action(), None))
        first.words += [*filter(None, described.actions), *further.get(verb, [])]
    all_places["models check"].words += configs_of("model")
    return all_places


def _build_place(words: str, action: Action, options: type | None) -> Place:
    keys = {declared.name: choices_of(declared.type) for declared in fields(options)} if options else {}
    keys |= {setting.key: setting.kind.split(" | ") if " | " in setting.kind else [] for setting in action.keys}
    if words == "train":
        keys |= dict(_list_keys(Config))
    keys |= {group: [] for group in action.groups}
    takes_run = action.arguments.startswith("RUN")
    return Place(["--help", *["--config-dir"] * bool(action.groups)], keys, takes_run)


def _list_keys(schema: type, prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the keys of a configuration, with dots between nodes; those of `model` are the settings of all models."""
    for declared in fields(schema):
        key = f"{prefix}{declared.name}"
        if key == "model":
            for settings in map(settings_class, packaged_modules()):
                yield from _list_keys(settings, "model.")
        elif is_dataclass(declared.type):
            yield from _list_keys(_ensure_class(declared.type), f"{key}.")
        elif key != "sweep_id":  # set by the grid itself
            yield key, choices_of(declared.type)


def _ensure_class(kind: Any) -> type:
    assert isinstance(kind, type)
    return kind


def run(arguments: list[str]) -> int:
    """Run the verb `completion`."""
    if len(arguments) != 1:
        raise UserError(f"completion: which shell? {', '.join(SHELLS)}")
    [shell] = arguments
    if shell not in SHELLS:
        raise UserError(f"completion {shell}: {did_you_mean(shell, SHELLS)}")
    offers = _build_offers(list_places())
    if shell == "fish":
        quoted = offers.replace("\\", "\\\\").replace("'", "\\'")
        print(f"set --global _ratchet_offers '{quoted}'{_FISH}", end="")
    else:
        print(offers + {"bash": _BASH, "zsh": _ZSH}[shell], end="")
    return 0


def _build_offers(all_places: Mapping[str, Place]) -> str:
    """Return the shell function that all shells share, for these places."""
    values: dict[str, list[str]] = {}
    for words, place in all_places.items():
        for key, choices in place.keys.items():
            if choices:
                values.setdefault(" ".join(choices), []).append(shlex.quote(f"{words}:{key}"))
    parts = {
        "@CONF@": shlex.quote(str(PACKAGED / "conf")),
        "@PLACES@": f"|{'|'.join(all_places)}|",
        "@OFFERED@": "\n".join(_build_case(words, place) for words, place in all_places.items()),
        "@VALUES@": "\n".join(f"    {' | '.join(cases)}) values='{choices}' ;;" for choices, cases in values.items()),
    }
    text = _OFFERS
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _build_case(words: str, place: Place) -> str:
    run = " takes_run=1" if place.takes_run else ""
    return f"  '{words}') words='{' '.join(place.words)}' keys='{' '.join(place.keys)}'{run} ;;"
