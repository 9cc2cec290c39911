#!/usr/bin/env bash
# Packs a built binary with the libraries and the model that `make setup` fetched: an archive to unpack anywhere, and a Debian
# package with a systemd unit. Usage: package.sh BINARY OUT. The same input gives the same bytes.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
binary=$1 out=$2
cache=${WELLSPRING_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/wellspring}
version=$("$binary" --version | cut -d' ' -f2)
machine=$(uname -m)
# Times in archives: the commit's, so that nothing depends on when they were made.
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$here" log -1 --format=%ct)}

for needed in lib/libonnxruntime.so lib/libpdfium.so models/all-MiniLM-L6-v2/model_int8.onnx; do
  [ -f "$cache/$needed" ] || { echo "$cache/$needed is not there: run \`make setup\`" >&2; exit 1; }
done

mkdir -p "$out"
work=$(mktemp -d "$out/.packing.XXXXXX")
trap 'rm -rf "$work"' EXIT

# One tree for both: PREFIX/bin, and PREFIX/lib/wellspring, where the program looks for its models.
tree=$work/tree
install -Dm755 "$binary" "$tree/bin/wellspring"
strip --strip-debug "$tree/bin/wellspring"
for file in lib/libonnxruntime.so lib/libpdfium.so; do install -Dm644 "$cache/$file" "$tree/lib/wellspring/$file"; done
for file in "$cache"/models/all-MiniLM-L6-v2/*; do
  install -Dm644 "$file" "$tree/lib/wellspring/models/all-MiniLM-L6-v2/$(basename "$file")"
done
"$binary" man "$tree/share/man/man1" 2> /dev/null
gzip -9n "$tree"/share/man/man1/*
"$binary" completions bash | install -Dm644 /dev/stdin "$tree/share/bash-completion/completions/wellspring"
"$binary" completions zsh | install -Dm644 /dev/stdin "$tree/share/zsh/vendor-completions/_wellspring"
"$binary" completions fish | install -Dm644 /dev/stdin "$tree/share/fish/vendor_completions.d/wellspring.fish"
install -Dm644 "$here/../LICENSE" "$tree/share/doc/wellspring/copyright"
install -Dm644 "$here/../setup/README.md" "$tree/share/doc/wellspring/third-party.md"
install -Dm644 "$here/../CHANGELOG.md" "$tree/share/doc/wellspring/CHANGELOG.md"

archive=wellspring-$version-$machine-linux
cp -a "$tree" "$work/$archive"
tar -C "$work" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner -c "$archive" | gzip -9n > "$out/$archive.tar.gz"

if command -v dpkg-deb > /dev/null; then
  deb=$work/deb
  mkdir -p "$deb/DEBIAN"
  cp -a "$tree" "$deb/usr"
  install -Dm644 "$here/wellspring.service" "$deb/usr/lib/systemd/system/wellspring.service"
  "$binary" init "$work/wellspring.toml" 2> /dev/null
  install -Dm644 "$work/wellspring.toml" "$deb/etc/wellspring/wellspring.toml"
  architecture=$(dpkg --print-architecture)
  cat > "$deb/DEBIAN/control" <<CONTROL
Package: wellspring
Version: $version
Architecture: $architecture
Maintainer: Wellspring
Section: text
Priority: optional
Depends: libc6 (>= 2.34), libgcc-s1, libstdc++6
Installed-Size: $(du -sk "$deb/usr" | cut -f1)
Description: documents in; passages and cited answers out
 Reads documents, searches them by meaning and by words, and answers with citations that were checked against the
 stored text. Brings its embedding model; needs no network and no other service.
CONTROL
  echo /etc/wellspring/wellspring.toml > "$deb/DEBIAN/conffiles"
  SOURCE_DATE_EPOCH=$epoch dpkg-deb --root-owner-group --build "$deb" "$out/wellspring_${version}_$architecture.deb" > /dev/null
else
  echo "dpkg-deb is not there: no Debian package" >&2
fi

cd "$out"
sha256sum wellspring-"$version"-*.tar.gz $(ls wellspring_"$version"_*.deb 2> /dev/null) > SHA256SUMS
ls -l --block-size=MiB ./*.tar.gz $(ls ./*.deb 2> /dev/null) | awk '{ print $5, $NF }'
