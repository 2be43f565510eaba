#compdef plasmite pls
# zsh completion for plasmite and pls, as `plasmite completion zsh` prints it.

# What may follow the words of a command: sets subcommands, flags, takes (those with a value, and what it is) and
# arguments.
_plasmite_table() {
    subcommands=() flags=() takes=() arguments=()
    case $1 in
    # TABLE
    esac
}

_plasmite_pools() {
    local -a names
    if [[ $PREFIX == */* ]]; then
        _files
        return
    fi
    names=($dir/*.plasmite(N:t:r))
    [[ $PREFIX == .* ]] && names+=($dir/.*.plasmite(DN:t:r))
    [[ -z $ended ]] && names=(${names:#-*})
    _wanted pools expl pool compadd -a names
}

# Completes a value that is of the kind $1.
_plasmite_value() {
    case $1 in
    pool) _plasmite_pools ;;
    file) _files ;;
    directory) _files -/ ;;
    command) compadd -- -- ;;
    choice:*) _wanted values expl value compadd -- ${(s:,:)1#choice:} ;;
    *) return 1 ;;
    esac
}

# Completes the argument behind n others.
_plasmite_argument() {
    while (($#arguments > 1 && n > 0)) && [[ $arguments[1] != *... ]]; do
        shift arguments
        ((n--))
    done
    if ((n == 0)) || [[ $arguments[1] == *... ]]; then
        _plasmite_value ${arguments[1]%...}
    fi
}

_plasmite() {
    local word at='' dir=$HOME/.plasmite/pools pending='' helping='' ended='' expl
    local -a subcommands flags arguments
    local -A takes
    integer i n=0

    _plasmite_table ''
    for ((i = 2; i < CURRENT; i++)); do
        word=${(Q)words[i]}
        if [[ -n $pending ]]; then
            [[ $pending == --dir ]] && dir=${word/#\~\//$HOME/}
            pending=''
        elif [[ -z $ended && $word == -- ]]; then
            ended=1
            if (($arguments[(I)command])); then
                shift $i words
                ((CURRENT -= i))
                _normal
                return
            fi
        elif [[ -z $ended && $word == --dir=* ]]; then
            dir=${${word#--dir=}/#\~\//$HOME/}
        elif [[ -z $ended && $word == -?* ]]; then
            (($+takes[$word])) && pending=$word
        elif (($#subcommands)) && [[ $word == help ]]; then
            helping=1
        elif (($subcommands[(I)$word:*])); then
            at+=${at:+ }$word
            _plasmite_table $at
        else
            ((++n))
        fi
    done

    if [[ -n $pending ]]; then
        _plasmite_value $takes[$pending]
    elif [[ -z $helping$ended && $PREFIX == --*=* ]]; then
        word=${PREFIX%%=*}
        compset -P '*='
        (($+takes[$word])) && _plasmite_value $takes[$word]
    elif [[ -z $helping$ended && $PREFIX == -* ]]; then
        _describe -o option flags
    elif (($#subcommands)); then
        _describe command subcommands
    elif [[ -z $helping ]]; then
        _plasmite_argument
    fi
}

if [[ $funcstack[1] == _plasmite ]]; then
    _plasmite "$@"
else
    compdef _plasmite plasmite pls
fi
