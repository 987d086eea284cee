#compdef @NAME@
# Written from the parser of `@NAME@` by `python -m tools.manual`; no program is started for a proposal.

_@WORD@_table() {
    subcommands='' flags='' values='' files='' directories='' choices='' argument=''
    case $1 in
@TABLE@
    esac
}

_@WORD@() {
    local subcommands flags values files directories choices argument
    local at='@NAME@' last='' each
    _@WORD@_table "$at"
    for each in "${(@)words[2,CURRENT-1]}"; do
        if [[ -n $last ]]; then
            last=''
        elif [[ " $values $files $directories " == *" $each "* ]]; then
            last=$each
        elif [[ " $subcommands " == *" $each "* ]]; then
            at="$at $each"
            _@WORD@_table "$at"
        fi
    done
    if [[ -n $last ]]; then
        if [[ " $files " == *" $last "* ]]; then
            _files
        elif [[ " $directories " == *" $last "* ]]; then
            _files -/
        else
            for each in ${=choices}; do
                [[ $each == "$last="* ]] && compadd -- ${(s:|:)each#*=}
            done
        fi
    elif [[ ${words[CURRENT]} == -* ]]; then
        compadd -- ${=flags} ${=values} ${=files} ${=directories}
    elif [[ -n $subcommands ]]; then
        compadd -- ${=subcommands}
    elif [[ $argument == files ]]; then
        _files
    fi
}

_@WORD@ "$@"
