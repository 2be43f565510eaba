# bash completion for plasmite and pls, as `plasmite completion bash` prints it.
# Needs bash 4.4 and nothing else; the bash-completion package helps with the command behind `tap ... --`.

# What may follow the words of a command: sets commands, options, takes (options and what their values are) and
# arguments.
_plasmite_table() {
    commands='' options='' takes='' arguments=''
    case $1 in
    # TABLE
    esac
}

# Sets plain to the word $1 as the shell would read it.
_plasmite_plain() {
    local c quote='' i
    plain=''
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        if [[ $c == "$quote" ]]; then
            quote=''
        elif [[ $quote != "'" && $c == \\ ]]; then
            ((++i))
            plain+=${1:i:1}
        elif [[ -z $quote && ($c == "'" || $c == '"') ]]; then
            quote=$c
        else
            plain+=$c
        fi
    done
    if [[ $1 == \~/* ]]; then plain=$HOME/${plain#\~/}; fi
}

# Sets words to those of the line up to the cursor, and starts to where they begin in COMP_WORDS: bash has divided
# them at colons, which is undone.
_plasmite_join() {
    local i piece last=':' apart rest=$COMP_LINE
    words=() starts=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]} apart=''
        if [[ $rest == [[:blank:]]* ]]; then
            apart=1
            rest=${rest#"${rest%%[![:blank:]]*}"}
        fi
        rest=${rest#"$piece"}
        if [[ $i -gt 0 && ! $apart && ($piece == :* || $last == *:) ]]; then
            words[-1]+=$piece
        else
            words+=("$piece") starts+=("$i")
        fi
        last=$piece
    done
}

# Offers the name $1, quoted as the word that is being typed has begun.
_plasmite_offer() {
    local name=$1
    case $word in
    \'*) name=${name//\'/\'\\\'\'} ;;
    \"*)
        name=${name//\\/\\\\}
        name=${name//\"/\\\"}
        name=${name//\$/\\\$}
        name=${name//\`/\\\`}
        [[ $name == *\" ]] && name+=\" # readline takes the last character for the end
        ;;
    *)
        printf -v name %q "$name"
        local typed=$word
        while [[ $typed == *:* ]]; do # readline replaces only what is behind the last colon
            typed=${typed#*:} name=${name#*:}
        done
        ;;
    esac
    COMPREPLY+=("$name")
}

_plasmite_pools() {
    local file
    if [[ $plain == */* ]]; then
        compopt -o default
        return
    fi
    for file in "$dir/$plain"*.plasmite; do
        [[ -e $file ]] || continue
        file=${file#"$dir/"}
        [[ $ended || $file != -* ]] && _plasmite_offer "${file%.plasmite}"
    done
}

_plasmite_words() {
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "$plain")
}

# Completes a value that is of the kind $1.
_plasmite_value() {
    case $1 in
    pool) _plasmite_pools ;;
    file) compopt -o default ;;
    directory) compopt -o dirnames ;;
    command) _plasmite_words -- ;;
    choice:*) _plasmite_words "${1#choice:}" ;;
    esac
}

# The command behind `--`, which begins with word number $1, is completed as it would be alone.
_plasmite_wrapped() {
    if declare -F _command_offset >/dev/null; then
        _command_offset "$1"
    elif ((COMP_CWORD == $1)); then
        mapfile -t COMPREPLY < <(compgen -c -- "$plain")
    else
        compopt -o default
    fi
}

# Completes the argument behind $1 others; which kinds there are, in order, is behind it.
_plasmite_argument() {
    local n=$1
    shift
    while (($# > 1 && n > 0)) && [[ $1 != *... ]]; do
        shift
        ((n--))
    done
    if ((n == 0)) || [[ $1 == *... ]]; then
        set -- "${1%...}"
        _plasmite_value "${1//,/ }"
    fi
}

_plasmite() {
    local IFS=$' \t\n' commands options takes arguments plain i
    local word path='' dir=$HOME/.plasmite/pools pending='' helping='' ended='' n=0 words starts

    COMPREPLY=()
    _plasmite_join
    _plasmite_table ''
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ $pending ]]; then
            [[ $word == '=' ]] && continue # of --dir=x bash makes three words
            _plasmite_plain "$word"
            [[ $pending == --dir ]] && dir=$plain
            pending=''
        elif [[ ! $ended && $word == -- ]]; then
            ended=1
            if [[ " $arguments" == *' command '* ]]; then
                _plasmite_plain "${words[-1]}"
                _plasmite_wrapped $((starts[i] + 1))
                return
            fi
        elif [[ ! $ended && $word == -?* ]]; then
            [[ " $takes" == *" $word="* ]] && pending=$word
        elif [[ $commands && $word == help ]]; then
            helping=1
        elif [[ " $commands" == *" $word "* ]]; then
            path+=${path:+ }$word
            _plasmite_table "$path"
        else
            ((++n))
        fi
    done

    word=${words[-1]}
    [[ $word == '=' ]] && word=''
    _plasmite_plain "$word"
    if [[ $pending ]]; then
        takes=" $takes"
        takes=${takes#*" $pending="}
        takes=${takes%% *}
        _plasmite_value "${takes//,/ }"
    elif [[ ! $helping && ! $ended && $word == -* ]]; then
        _plasmite_words "$options"
    elif [[ $commands ]]; then
        _plasmite_words "$commands help"
    elif [[ ! $helping ]]; then
        # shellcheck disable=SC2086 # a list of words
        _plasmite_argument "$n" $arguments
    fi
}

complete -F _plasmite plasmite pls
