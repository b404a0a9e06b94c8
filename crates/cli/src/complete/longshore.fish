# Completion of longshore for fish: put it into ~/.config/fish/completions, as `longshore.fish`.
function __longshore_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    # Quotes are no part of a word; one that is still open cannot be taken away.
    set -l plain (string unescape -- "$typed"; or string trim --left --chars '"\'' -- "$typed")
    longshore complete fish -- $words[2..] "$plain" 2>/dev/null
end
complete -c longshore -f -a '(__longshore_complete)'
