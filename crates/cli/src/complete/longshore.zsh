#compdef longshore
# Completion of longshore for zsh: put it into a directory of $fpath, as `_longshore`, or source it.
_longshore() {
    local -a ends end_lines goes_on goes_on_lines
    local reply value line
    while IFS= read -r reply; do
        value=${reply%%$'\t'*}
        line=$value
        [[ $reply == *$'\t'?* ]] && line="$value  -- ${reply#*$'\t'}"
        # What goes on is not followed by a space.
        if [[ $value == *[/:=] ]]; then
            goes_on+=("$value")
            goes_on_lines+=("$line")
        else
            ends+=("$value")
            end_lines+=("$line")
        fi
    done < <(longshore complete zsh -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)
    (( $#ends )) && compadd -l -d end_lines -a -- ends
    (( $#goes_on )) && compadd -l -S '' -d goes_on_lines -a -- goes_on
    (( $#ends + $#goes_on ))
}
if [[ ${funcstack[1]} == _longshore ]]; then
    _longshore "$@"
else
    compdef _longshore longshore
fi
