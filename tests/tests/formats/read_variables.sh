# Prints the environment of a program that is started after each of these files was sourced, each
# after the file's name and a NUL: read_variables.sh dotenv|shell FILE...
format=$1
shift
for file in "$@"; do
    printf '%s\0' "$file"
    (
        [ "$format" = shell ] || set -a
        . "$file"
        exec /usr/bin/env -0
    )
done
