#!/usr/bin/env bash
# What a shell offers for the end of a command line, with the completion that the build has written.
# usage: completion.sh BUILD bash|zsh|fish
set -euo pipefail
export LC_ALL=C.UTF-8

build=$(realpath "${1:?usage: completion.sh BUILD SHELL}") shell=${2:?usage: completion.sh BUILD SHELL}
here=$(realpath "$(dirname "$0")")
command -v "$shell" > /dev/null || { echo "SKIPPED: there is no $shell here"; exit 77; }
script=$build/generated/revbifpn.$shell
work=$build/completion-$shell
rm -rf "$work" && mkdir -p "$work/place/train" && cp "$script" "$work/_revbifpn"
touch "$work/place/my.json"
cd "$work/place"
export HOME=$work XDG_CONFIG_HOME=$work XDG_DATA_HOME=$work XDG_CACHE_HOME=$work
case_begin() { echo "[ RUN      ] $1"; current=$1; }
case_end() { echo "[       OK ] $current"; }
trap '[ $? = 0 ] || echo "[  FAILED  ] ${current:-start}"' EXIT

offered() { # LINE: words, sorted, in one line
    case $shell in
    bash) # shellcheck disable=SC2016
        bash --norc --noprofile -c 'source "$1"; read -ra COMP_WORDS <<< "$2"; [ "${2: -1}" != " " ] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _revbifpn; printf "%s\n" "${COMPREPLY[@]}"' - "$script" "$1" ;;
    zsh) zsh -f "$here/offered.zsh" "$work" "$1" ;;
    fish) # shellcheck disable=SC2016
        fish --no-config -c 'source $argv[1]; complete -C $argv[2]' "$script" "$1" | cut -f 1 | sed 's,/$,,' ;;
    esac | sort -u | tr '\n' ' ' | sed 's/^ *//; s/ *$//'
}
check() { # LINE, what is offered, all of it
    local got
    got=$(offered "$1")
    [ "$got" = "$2" ] || { echo "'$1': offered '$got', not '$2'"; exit 1; }
}
holds() { # LINE, words that must be among what is offered
    local got
    got=$(offered "$1")
    for word in $2; do
        [[ " $got " == *" $word "* ]] || { echo "'$1': offered '$got', without '$word'"; exit 1; }
    done
}

case_begin "${shell}_reads_it"
"$shell" -n "$script"
case_end
case_begin "${shell}_verbs"
check 'revbifpn tra' train
holds 'revbifpn ' 'train val predict plan inspect check export convert bench synth diff'
check 'revbifpn --' '--help --version'
case_end
case_begin "${shell}_options"
check 'revbifpn train --mo' '--model --model-ema --model-ema-decay --model-ema-warmup --momentum --mosaic'
check 'revbifpn train --he' --help
check 'revbifpn plan --max-mem' --max-memory
case_end
case_begin "${shell}_values"
check 'revbifpn train --activations st' stored
check 'revbifpn plan --opt lam' 'lamb lambc'
check 'revbifpn train --model ' 'my.json s0 s1 s2 s3 s4 s5 s6 train'
check 'revbifpn check --data tr' train
case_end
case_begin "${shell}_a_folder_named_like_a_verb"
check 'revbifpn inspect --data train --mo' "$(offered 'revbifpn inspect --mo')"
check 'revbifpn synth --out train --mo' ''
case_end
