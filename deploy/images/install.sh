#!/bin/sh
# Wheels into a folder: `install.sh <folder> <where it will be> <arguments of uv>`. Nothing is fetched, nothing is built.
set -eu
folder=$1 path=$2
shift 2
mkdir -p "$folder"
uv pip install --quiet --python /usr/bin/python3.11 --target "$folder" --link-mode copy --no-index --no-deps "$@"
cd "$folder"
rm -rf bin .lock
# Patterns, one a line.
grep -v '^#' /unused.txt | while read -r pattern; do rm -rf ${pattern}; done
find . \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.jar' -o -name uv_cache.json \) -delete
sed -i '/uv_cache.json/d' ./*.dist-info/RECORD
find . -name '*.so*' -type f -exec strip --strip-unneeded {} +
! find . -name '*.so*' -type f -exec ldd {} + | grep 'not found'
python3.11 -m compileall -q --invalidation-mode unchecked-hash -s "$folder" -p "$path" -j 0 .
