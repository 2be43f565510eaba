# fish completion for plasmite and pls, as `plasmite completion fish` prints it.

# Sets what stands on the line: at (the words of the command, with `--` when it is behind that of a command that
# runs another), n (how many arguments are there) and dir (the pool directory).
function __plasmite_read --no-scope-shadowing
    set at ''
    set n 0
    set dir ~/.plasmite/pools
    set -l pending ''
    set -l ended ''
    for word in (commandline -opc)[2..]
        if test -n "$pending"
            test "$pending" = --dir; and set dir (string replace -r '^~/' ~/ -- $word)
            set pending ''
        else if test -z "$ended"; and test "$word" = --
            set ended yes
            if contains -- "$at" $__plasmite_wrapping
                set at "$at --"
                return
            end
        else if test -z "$ended"; and string match -q -- '--dir=*' $word
            set dir (string replace -r '^--dir=(~/)?' '$1' -- $word | string replace -r '^~/' ~/)
        else if test -z "$ended"; and string match -qr -- '^-.' $word
            contains -- $word $__plasmite_takes; or contains -- "$at $word" $__plasmite_takes
            and set pending $word
        else if contains -- (string trim -- "$at $word") $__plasmite_commands
            set at (string trim -- "$at $word")
        else if test "$at" = ''; and test "$word" = help
            continue
        else
            set n (math $n + 1)
        end
    end
end

# Does the command of these words stand on the line, and $argv[2] arguments behind it?
function __plasmite_at
    set -l at
    set -l n
    set -l dir
    __plasmite_read
    test "$at" = "$argv[1]"; and begin
        not set -q argv[2]; or test "$n" = "$argv[2]"
    end
end

function __plasmite_pools
    set -l at
    set -l n
    set -l dir
    set -l word (commandline -ct)
    __plasmite_read
    if string match -q -- '*/*' $word
        __fish_complete_path $word
        return
    end
    set -l files $dir/*.plasmite
    string match -q -- '.*' $word; and set -a files $dir/.*.plasmite
    # What is printed is a name on each line, with its description behind a tab.
    set files (string match -rv '[\n\t]' -- $files)
    set -l names (string replace -r '^.*/' '' -- $files | string replace -r '\.plasmite$' '')
    if not contains -- -- (commandline -opc)
        set names (string match -v -- '-*' $names)
    end
    string join \n -- $names
end

# The command behind `--` is completed as it would be alone.
function __plasmite_wrapped
    set -l words (commandline -opc)
    set -l i (contains -i -- -- $words)
    complete -C (string join ' ' -- (string escape -- $words[(math $i + 1)..]) (commandline -ct))
end

complete -c plasmite -f
# TABLE
complete -c pls -w plasmite
