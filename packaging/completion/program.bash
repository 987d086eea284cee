# @NAME@ for bash.
# Written from the parser of `@NAME@` by `python -m tools.manual`; no program is started for a proposal.

_@WORD@_table() {
    subcommands='' flags='' values='' files='' directories='' choices='' argument=''
    case $1 in
@TABLE@
    esac
}

_@WORD@() {
    local subcommands flags values files directories choices argument
    local at='@NAME@' last='' current=${COMP_WORDS[COMP_CWORD]} each
    _@WORD@_table "$at"
    for each in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        if [[ $each == = ]]; then # --option=VALUE comes as three words
            continue
        elif [[ $last ]]; then
            last=''
        elif [[ " $values $files $directories " == *" $each "* ]]; then
            last=$each
        elif [[ " $subcommands " == *" $each "* ]]; then
            at="$at $each"
            _@WORD@_table "$at"
        fi
    done
    [[ $current == = ]] && current=''
    COMPREPLY=()
    if [[ $last ]]; then
        if [[ " $files " == *" $last "* ]]; then
            _@WORD@_propose -f
        elif [[ " $directories " == *" $last "* ]]; then
            _@WORD@_propose -d
        else
            for each in $choices; do
                [[ $each == "$last="* ]] && _@WORD@_propose -W "${each#*=}"
            done
        fi
    elif [[ $current == -* ]]; then
        _@WORD@_propose -W "$flags $values $files $directories"
    elif [[ $subcommands ]]; then
        _@WORD@_propose -W "$subcommands"
    elif [[ $argument == files ]]; then
        _@WORD@_propose -f
    fi
}

_@WORD@_propose() {
    local IFS=$' \t\n|'
    [[ $1 == -W ]] || compopt -o filenames 2>/dev/null
    mapfile -t COMPREPLY < <(compgen "$@" -- "$current")
}

complete -F _@WORD@ @NAME@
