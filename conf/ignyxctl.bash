# Completion of ignyxctl for bash: the program itself says what there is, see ignyxctl(8).
_ignyxctl() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("$1" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
# -o default: names of files, where it has nothing to say
complete -o default -F _ignyxctl ignyxctl
