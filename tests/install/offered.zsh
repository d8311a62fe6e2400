# What zsh offers for the end of a command line, a line each. usage: zsh -f offered.zsh FOLDER LINE
# FOLDER has the completion, _revbifpn. Completion needs an interactive shell: one is started on a terminal of its own, in
# which compadd, through which everything offered passes, also writes it down.
zmodload zsh/zpty || exit 1
cat > $1/begin << 'BEGIN'
PROMPT= RPROMPT=
fpath=($FOLDER $fpath)
autoload -Uz compinit && compinit -u -d $FOLDER/dump
compadd() {
    # with -O, -A or -D nothing is offered: a function asks what would match
    if (( ${@[(I)-(O|A|D)]} )); then builtin compadd "$@"; return; fi
    local -a matching
    builtin compadd -A matching "$@"
    (( $#matching )) && print -rl -- $matching >> $FOLDER/offered
    builtin compadd "$@"
}
offer_all() {
    _main_complete "$@"
    local code=$?
    : > $FOLDER/finished
    return $code
}
zle -C offer list-choices offer_all
bindkey '^I' offer
print -r be''gun
BEGIN
rm -f $1/offered $1/finished
await() { # TEXT on the terminal
    local all part i
    for i in {1..600}; do
        while zpty -r -t shell part; do all+=$part; done
        [[ $all == *$1* ]] && return
        sleep 0.05
    done
    print -u2 -r -- "no $1 in: $all"
    exit 1
}
zpty -b shell "FOLDER=${(q)1} zsh -f -i"
zpty -w shell "source ${(q)1}/begin"
await begun
# nothing follows the tab until the completion is over: zsh offers less while keys are waiting
zpty -w -n shell "$2"$'\t'
for i in {1..600}; do
    while zpty -r -t shell part; do :; done # or the shell would wait for room on the terminal
    [[ -f $1/finished ]] && break
    sleep 0.05
done
[[ -f $1/finished ]] || { print -u2 -r -- "no end of the completion"; exit 1 }
zpty -d shell
[[ ! -f $1/offered ]] || cat $1/offered
