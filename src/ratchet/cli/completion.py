"""`ratchet completion bash|zsh|fish`: a script that completes `ratchet` on TAB, to be sourced by the shell.

The script holds the verbs, actions and keys that there were when it was printed, so that TAB starts no Python.
Configurations and runs are looked up when TAB is pressed.
"""

import shlex
from collections.abc import Mapping

from ratchet.cli.completing import SHELLS, Place, places
from ratchet.config import CONF
from ratchet.errors import UserError, did_you_mean

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
