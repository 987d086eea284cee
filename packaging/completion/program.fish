# @NAME@ for fish.
# Written from the parser of `@NAME@` by `python -m tools.manual`; no program is started for a proposal.

function _@WORD@_table --no-scope-shadowing
    for column in subcommands flags values files directories choices argument
        set $column
    end
    switch "$at"
@TABLE@
    end
end

function _@WORD@
    set -l subcommands; set -l flags; set -l values; set -l files; set -l directories; set -l choices
    set -l argument
    set -l at '@NAME@'
    set -l last ''
    set -l current (commandline -ct)
    set -l before (commandline -opc)
    _@WORD@_table
    for each in $before[2..]
        if test -n "$last"
            set last ''
        else if contains -- $each $values $files $directories
            set last $each
        else if contains -- $each $subcommands
            set at "$at $each"
            _@WORD@_table
        end
    end
    set -l joined '' # --option=VALUE is one word here
    if test -z "$last"; and string match -q -- '--*=*' $current
        set last (string split -m 1 = -- $current)[1]
        set joined $last=
    end
    if test -n "$last"
        if contains -- $last $files
            __fish_complete_path (string replace -- "$joined" '' $current)
        else if contains -- $last $directories
            __fish_complete_directories (string replace -- "$joined" '' $current) ''
        else
            for each in $choices
                string match -q -- "$last=*" $each
                and printf '%s\n' $joined(string split '|' -- (string split -m 1 = -- $each)[2])
            end
        end
    else if string match -q -- '-*' $current
        printf '%s\n' $flags $values $files $directories
    else if set -q subcommands[1]
        printf '%s\n' $subcommands
    else if test "$argument" = files
        __fish_complete_path $current
    end
end

complete -c @NAME@ -f -a '(_@WORD@)'
