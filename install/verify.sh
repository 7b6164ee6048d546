#!/bin/sh
# Checks a release folder without rfo-build: POSIX sh, openssl, sha256sum, awk, sed, grep, tr, find, sort. No network.
#
#   sh verify.sh --key cosign.pub --expect v1.24.8+rfor1 /mnt/usb/v1.24.8+rfor1
#
# It starts from one signature, that of the release statement (evidence/release.json). The statement names every file with its
# digest, so all else is comparing. The lists' .sigstore.json say, for cosign, what their .sig say for openssl: they are not needed.
#
# A key that came with the release proves nothing, and neither does this script when it came with it: read it, or compare
# its SHA-256 with one that you got another way.
#
# fail is never called in a pipe or in $( ), where it would end only that; and whatever must be empty is made without a pipe, so
# that a program which breaks down is no empty finding. Names and texts of others are printed by `plain` alone.
set -eu
umask 022
export LC_ALL=C
unset CDPATH

STATEMENT=evidence/release.json
BUNDLE=evidence/release.sigstore.json
PAYLOAD_TYPE=application/vnd.in-toto+json
PREDICATE_TYPE=https://github.com/rfolabs/rfo-build/attestation/release/v1

usage() {
  cat <<'END'
usage: sh verify.sh --key FILE [--sm2-key FILE] [--sm3] [--expect VERSION] [DIR]

  --key FILE        public key of the release (PEM), got another way than with the release
  --sm2-key FILE    public key (PEM) of the SM2 signatures, which are verified too; needs openssl 3
  --sm3             the SM3 digest of every file is compared too; takes about three times as long
  --expect VERSION  the release that it must be
  DIR               the release's folder; default: where this script lies

exit: 0 verified, 2 usage, 3 not what was signed, 4 a sandbox's release, 5 no key, 9 this machine
END
}

# Names that others chose, on one line and without control characters.
plain() {
  printf '%s' "$1" | tr -c ' -~' '?'
}

# fail EXIT WHAT FILE
fail() {
  ENDED=1
  printf 'verify.sh: %s (%s)\n' "$2" "$(plain "$3")" >&2
  exit "$1"
}

proven() {
  printf 'proven: %s\n' "$*"
}

unchecked() {
  printf 'not checked: %s\n' "$*"
}

read_options() {
  KEY=
  SM2_KEY=
  SM3=
  EXPECT=
  DIR=
  while [ $# -gt 0 ]; do
    case $1 in
      --key | --sm2-key | --expect)
        [ -n "${2:-}" ] || fail 2 'a value is missing; see --help' "$1"
        case $1 in
          --key) KEY=$2 ;;
          --sm2-key) SM2_KEY=$2 ;;
          --expect) EXPECT=$2 ;;
        esac
        shift
        ;;
      --sm3) SM3=1 ;;
      --help)
        usage
        ENDED=1
        exit 0
        ;;
      -* | '') fail 2 'no such option or folder; see --help' "$1" ;;
      *)
        [ -z "$DIR" ] || fail 2 'one folder at a time; see --help' "$1"
        DIR=$1
        ;;
    esac
    shift
  done
  if [ -z "$DIR" ]; then
    case $0 in
      */*) DIR=${0%/*} ;;
      *) DIR=. ;;
    esac
  fi
  [ -d "$DIR" ] || fail 2 'no such folder' "$DIR"
}

need_programs() {
  for program in awk cat find grep mktemp openssl rm sed sha256sum sort tr wc; do
    command -v "$program" >/dev/null 2>&1 && continue
    ENDED=1
    printf 'verify.sh: a program is missing (%s)\n' "$program" >&2
    exit 9
  done
}

# Told now and not after an hour of hashing.
need_openssl() {
  own=$(openssl version)
  if [ -n "$SM3" ]; then
    openssl dgst -sm3 </dev/null >/dev/null 2>&1 || fail 9 'this openssl has no SM3, leave out --sm3' "$own"
  fi
  [ -n "$SM2_KEY" ] || return 0
  case $own in
    'OpenSSL 0.'* | 'OpenSSL 1.'* | LibreSSL*) fail 9 'openssl 3 is needed for SM2 signatures, leave out --sm2-key' "$own" ;;
  esac
}

setup_tmp() {
  TMP=$(mktemp -d "${TMPDIR:-/tmp}/rfo-verify.XXXXXXXX") || fail 9 'no temporary folder' "${TMPDIR:-/tmp}"
  TMP=$(cd -- "$TMP" && pwd)
}

# An end that nobody meant (a full disk, a program that was killed) is no verdict.
# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup() {
  [ -z "$TMP" ] || rm -rf "$TMP"
  [ -z "$ENDED" ] || return 0
  printf 'verify.sh: a program failed, nothing is decided (%s)\n' "$(plain "$DIR")" >&2
  exit 9
}

# --- helpers ---------------------------------------------------------------------------------------------------------

# same FILE FILE: both are there and have the same bytes
same() {
  one=$(sha256sum <"$1") || return 1
  other=$(sha256sum <"$2") || return 1
  [ "${#one}" -ge 64 ] && [ "$one" = "$other" ]
}

# without FILE OTHER: the lines of FILE that OTHER has not
without() {
  awk 'part == 1 { seen[$0] = 1; next } !($0 in seen)' part=1 "$2" part=2 "$1"
}

count() {
  printf '%d' "$(($(wc -l <"$1")))"
}

# none FILE WHAT: fails with the file that the first line names
none() {
  [ -s "$1" ] || return 0
  fail 3 "$2" "$(sed -n 1p "$1")"
}

# --- keys ------------------------------------------------------------------------------------------------------------

# public KEY NAME: NAME.pem and NAME.der in the temporary folder, out of a file with a public key
public() {
  openssl pkey -pubin -in "$1" -out "$TMP/$2.pem" >/dev/null 2>&1 </dev/null &&
    openssl pkey -pubin -in "$TMP/$2.pem" -outform DER -out "$TMP/$2.der" >/dev/null 2>&1
}

# fingerprint NAME, as rfo-build says it: sha256:<hex>
fingerprint() {
  sum=$(sha256sum <"$TMP/$1.der")
  printf 'sha256:%s' "${sum%% *}"
}

refuse_without_key() {
  [ -z "$KEY" ] || return 0
  found=trust/cosign.pub
  said='no --key is given, and none was found here: get the public key of the release another way'
  if [ -f "$DIR/$found" ] && public "$DIR/$found" found; then
    said="no --key is given; the one found here is $(fingerprint found), but a key that came with the release proves nothing: get it, or this fingerprint, another way"
  fi
  fail 5 "$said" "$found"
}

# Copies, since the paths may be relative and the folder is entered.
read_keys() {
  public "$KEY" key || fail 2 'not a public key (PEM) that openssl reads' "$KEY"
  FINGERPRINT=$(fingerprint key)
  HINT=$(openssl dgst -sha256 -binary "$TMP/key.der" | openssl base64 -A)
  [ -n "$SM2_KEY" ] || return 0
  public "$SM2_KEY" sm2 || fail 2 'not a public key (PEM) that openssl reads' "$SM2_KEY"
  openssl pkey -pubin -in "$TMP/sm2.pem" -noout -text >"$TMP/sm2.txt"
  grep -q 'OID: SM2' "$TMP/sm2.txt" || fail 2 'not a key for SM2' "$SM2_KEY"
}

# signed FILE SIGNATURE: by the key given
signed() {
  openssl dgst -sha256 -verify "$TMP/key.pem" -signature "$2" "$1" >/dev/null 2>&1
}

# --- the folder ------------------------------------------------------------------------------------------------------

# No path holds //, so a line that does not begin with .//. is the rest of a name with a line break in it.
list_folder() {
  find .//. >"$TMP/all" 2>/dev/null || fail 9 "can't be listed" "$DIR"
  find .//. -type f >"$TMP/regular" 2>/dev/null || fail 9 "can't be listed" "$DIR"
  find .//. ! -type f ! -type d >"$TMP/odd" 2>/dev/null || fail 9 "can't be listed" "$DIR"
  awk '
    index($0, ".//.") != 1 { print before "?" $0; exit }
    { before = substr($0, 6) }
    before != "" && before !~ /^[A-Za-z0-9_][A-Za-z0-9._+~^%@\/-]*$/ { bad = before; exit }
    END { if (bad != "") print bad }
  ' "$TMP/all" >"$TMP/names"
  none "$TMP/names" 'a name that no release has'
  sed 's|^\.//\./||' "$TMP/odd" >"$TMP/kinds"
  none "$TMP/kinds" 'neither a regular file nor a folder'
  sed 's|^\.//\./||' "$TMP/regular" >"$TMP/files"
  without "$TMP/all" "$TMP/regular" >"$TMP/rest"
  sed -n 's|^\.//\./||p' "$TMP/rest" >"$TMP/folders"
}

# --- the statement ---------------------------------------------------------------------------------------------------

# The bundle is canonical JSON around the statement, so it is put together again and compared: nothing is read out of it but
# the signature, and hundreds of kB of base64 are never a shell's argument. What is signed is DSSE's
# https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
verify_statement() {
  grep -Fxq "$BUNDLE" "$TMP/files" || fail 3 'the release is not signed: this file is missing' "$BUNDLE"
  grep -Fxq "$STATEMENT" "$TMP/files" || fail 3 'is missing' "$STATEMENT"
  cat "$STATEMENT" >"$TMP/statement"
  tr '"' '\n' <"$BUNDLE" >"$TMP/parts"
  sed -n 6p "$TMP/parts" | tr -d '\n' >"$TMP/payload"
  openssl base64 -in "$TMP/statement" | tr -d '\n' >"$TMP/encoded"
  same "$TMP/payload" "$TMP/encoded" || fail 3 "is not what $BUNDLE signs" "$STATEMENT"

  signature=$(sed -n '16{/^[A-Za-z0-9+\/]\{1,128\}=*$/p;}' "$TMP/parts")
  [ -n "$signature" ] || fail 3 'is not in the form of a release' "$BUNDLE"
  printf '%s\n' "$signature" | openssl base64 -d -A >"$TMP/signature"
  {
    printf 'DSSEv1 %d %s %d ' "${#PAYLOAD_TYPE}" "$PAYLOAD_TYPE" "$(($(wc -c <"$TMP/statement")))"
    cat "$TMP/statement"
  } >"$TMP/signed"
  signed "$TMP/signed" "$TMP/signature" || fail 3 "is not signed by the key given, $FINGERPRINT" "$BUNDLE"
  {
    printf '{"dsseEnvelope":{"payload":"'
    cat "$TMP/encoded"
    printf '","payloadType":"%s","signatures":[{"sig":"%s"}]},' "$PAYLOAD_TYPE" "$signature"
    printf '"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"%s"}}}' "$HINT"
  } >"$TMP/bundle"
  same "$BUNDLE" "$TMP/bundle" || fail 3 'is not in the form of a release' "$BUNDLE"
  proven "$STATEMENT is signed by $FINGERPRINT"
}

# An object a line. A quote within a JSON string is written \", so text that others wrote begins or ends none of these patterns;
# and all of it is signed.
read_statement() {
  tr '{' '\n' <"$TMP/statement" >"$TMP/objects"
  VERSION=$(sed -n 's|^"commit":"[0-9a-f]*","version":"[^"\\]*"},"version":"\([^"\\]*\)"},"predicateType":"'"$PREDICATE_TYPE"'","subject":\[$|\1|p' "$TMP/objects")
  case $VERSION in
    '' | *[!0-9A-Za-z.+-]*) fail 3 'is not a statement about one release' "$STATEMENT" ;;
  esac
  entry='^"digest":"sha256:\([0-9a-f]\{64\}\)","path":"\([^"\\]*\)","size":[0-9]*,"sm3":"\([0-9a-f]\{64\}\)".*$'
  sed -n "s/$entry/\\1  \\2/p" "$TMP/objects" >"$TMP/sha256"
  sed -n "s/$entry/\\3  \\2/p" "$TMP/objects" >"$TMP/sm3"
  sed 's/^.\{66\}//' "$TMP/sha256" >"$TMP/paths"
  sed -n -e '/^[A-Za-z0-9_][A-Za-z0-9._+~^%@/-]*$/!p' -e '/\/\.\{0,2\}\//p' -e '/\/\.\{0,2\}$/p' "$TMP/paths" >"$TMP/unsafe"
  none "$TMP/unsafe" "$STATEMENT names a path that no release has"
  awk 'seen[$0]++' "$TMP/paths" >"$TMP/twice"
  none "$TMP/twice" "$STATEMENT names it twice"
  sed -n '/^sha256sum-[a-z0-9]*\.txt$/p' "$TMP/paths" >"$TMP/sha256-lists"
  sed -n '/^sm3sum-[a-z0-9]*\.txt$/p' "$TMP/paths" >"$TMP/sm3-lists"
  [ -s "$TMP/sha256-lists" ] || fail 3 'names no list of checksums' "$STATEMENT"
}

check_version() {
  [ -n "$EXPECT" ] || return 0
  [ "$EXPECT" = "$VERSION" ] || fail 3 "is about $VERSION, not $(plain "$EXPECT")" "$STATEMENT"
  proven "it is $VERSION, as expected"
}

# --- files -----------------------------------------------------------------------------------------------------------

# What no digest in the statement covers has its place beside a file that one does. Keys in trust/ and rpm/ have no such place.
check_presence() {
  awk '
    { print }
    /^(sha256|sm3)sum-[a-z0-9]*\.txt$/ { print $0 ".sig"; print $0 ".sigstore.json"; print $0 ".sm2" }
    /^charts\/[^\/]*\.tgz$/ { print $0 ".prov" }
    /^rpm\/.*\/repomd\.xml$/ { print $0 ".asc" }
  ' "$TMP/paths" >"$TMP/known"
  sed 's|^\([0-9a-f]\{64\}\)  .*$|evidence/\1.sigstore.json|' "$TMP/sha256" >>"$TMP/known"
  printf 'oci/index.json\noci/oci-layout\n' >>"$TMP/known"
  without "$TMP/files" "$TMP/known" >"$TMP/others"
  sed -e '/^oci\/blobs\/sha256\/[0-9a-f]\{64\}$/d' -e '/^evidence\/[0-9a-f]\{64\}\.sigstore\.json$/!{' -e '/^evidence\/[^/]*$/d' -e '}' "$TMP/others" >"$TMP/extra"
  none "$TMP/extra" 'an extra file: nothing that is signed names it'
  {
    cat "$TMP/paths"
    printf 'oci/index.json\noci/oci-layout\n'
    sed 's/$/.sig/' "$TMP/sha256-lists" "$TMP/sm3-lists"
  } >"$TMP/wanted"
  without "$TMP/wanted" "$TMP/files" >"$TMP/missing"
  none "$TMP/missing" 'is missing'
  awk 'part == 1 { while (sub("/[^/]*$", "")) used[$0] = 1; next } !($0 in used)' part=1 "$TMP/files" part=2 "$TMP/folders" >"$TMP/empty"
  none "$TMP/empty" 'a folder with nothing in it'
}

# check_list LIST LINES: signed, and nothing in it but what the statement says. So a list has no path of its own making,
# and no two of them say different things of one file.
check_list() {
  signed "$1" "$1.sig" || fail 3 'its signature is not by the key given' "$1"
  without "$1" "$2" >"$TMP/differs"
  [ ! -s "$TMP/differs" ] || fail 3 'holds a line that the statement does not' "$1"
}

check_lists() {
  while IFS= read -r list; do
    check_list "$list" "$TMP/sha256"
  done <"$TMP/sha256-lists"
  while IFS= read -r list; do
    check_list "$list" "$TMP/sm3"
  done <"$TMP/sm3-lists"
  cat "$TMP/sha256-lists" "$TMP/sm3-lists" >"$TMP/lists"
  proven "$(count "$TMP/lists") lists of checksums are signed by that key and say what the statement says"
}

# The lists differ by architecture and share most files: hashing what the statement names reads each file once.
check_files() {
  sed -n 's/^oci\/blobs\/sha256\/\([0-9a-f]\{64\}\)$/\1  &/p' "$TMP/files" >"$TMP/blobs"
  cat "$TMP/sha256" "$TMP/blobs" >"$TMP/sums"
  status=0
  sha256sum -c "$TMP/sums" >"$TMP/compared" 2>/dev/null || status=$?
  sed -n '/: OK$/!s/: [A-Z].*$//p' "$TMP/compared" >"$TMP/wrong"
  sed -n '/: OK$/p' "$TMP/compared" >"$TMP/right"
  file=$(sed -n 1p "$TMP/wrong")
  [ -z "$file" ] || [ -r "$file" ] || fail 9 "can't be read" "$file"
  none "$TMP/wrong" 'its SHA-256 is not the one that was signed'
  if [ "$status" -ne 0 ] || [ "$(count "$TMP/right")" != "$(count "$TMP/sums")" ]; then
    fail 9 'sha256sum did not compare every file' "$DIR"
  fi
  proven "$(count "$TMP/sha256") files have the SHA-256 that was signed; none is missing, none is extra"
  proven "$(count "$TMP/blobs") blobs in oci/ have the SHA-256 that names them"
}

# The statement names each image's index and platform manifests, and those name the rest: read out of blobs that were compared.
check_images() {
  sed -n -e 's/^.*"digest":"sha256:\([0-9a-f]\{64\}\)","groups":.*$/\1/p' -e 's/^"digest":"sha256:\([0-9a-f]\{64\}\)","status":"made".*$/\1/p' \
    "$TMP/objects" >"$TMP/manifests"
  [ -s "$TMP/manifests" ] || fail 3 'names no image' "$STATEMENT"
  sort -u "$TMP/manifests" >"$TMP/once"
  sed 's|^|oci/blobs/sha256/|' "$TMP/once" >"$TMP/wanted"
  without "$TMP/wanted" "$TMP/files" >"$TMP/missing"
  none "$TMP/missing" 'a manifest that the statement names is missing'
  while IFS= read -r blob; do
    cat "$blob"
  done <"$TMP/wanted" >"$TMP/json"
  tr -d ' \t\r\n' <"$TMP/json" >"$TMP/packed"
  tr '{' ',' <"$TMP/packed" >"$TMP/flat"
  tr ',' '\n' <"$TMP/flat" >"$TMP/members"
  sed -n 's|^"digest":"sha256:\([0-9a-f]\{64\}\)".*$|oci/blobs/sha256/\1|p' "$TMP/members" >"$TMP/wanted"
  without "$TMP/wanted" "$TMP/files" >"$TMP/missing"
  none "$TMP/missing" 'a config or layer of an image is missing'
  proven "$(count "$TMP/once") indexes and manifests that the statement names are in oci/ with their configs and layers"
}

check_sm3() {
  [ -n "$SM3" ] || return 0
  while IFS= read -r line; do
    file=${line#*  }
    found=$(openssl dgst -sm3 <"$file") || fail 9 "can't be read" "$file"
    [ "${found##* }" = "${line%%  *}" ] || fail 3 'its SM3 is not the one that was signed' "$file"
  done <"$TMP/sm3"
  proven "$(count "$TMP/sm3") files have the SM3 that was signed"
}

# GM/T 0009: SM2 with SM3 and the identity that stands for none of its own.
check_sm2() {
  [ -n "$SM2_KEY" ] || return 0
  {
    printf '%s\n' "$STATEMENT"
    cat "$TMP/lists"
  } >"$TMP/sm2-signed"
  while IFS= read -r file; do
    case $file in
      "$STATEMENT") signature=evidence/release.sm2 ;;
      *) signature=$file.sm2 ;;
    esac
    [ -f "$signature" ] || fail 3 'an SM2 signature is missing' "$signature"
    openssl dgst -sm3 -verify "$TMP/sm2.pem" -sigopt distid:1234567812345678 -signature "$signature" "$file" >/dev/null 2>&1 ||
      fail 3 'is not an SM2 signature by the key given' "$signature"
  done <"$TMP/sm2-signed"
  proven "$(count "$TMP/sm2-signed") SM2 signatures, of the statement and the lists, are by $(fingerprint sm2)"
}

# Stand-ins are genuine to nobody but the sandbox that made them.
check_sandbox() {
  MARK=
  if ! grep -q '"standIns":\[\],"support":$' "$TMP/objects" || grep -q '"standInKey":' "$TMP/objects" || grep -Fxq SANDBOX "$TMP/files"; then
    MARK=' [SANDBOX]'
    grep -q "\"standInKey\":\"$FINGERPRINT\",\"standIns\":" "$TMP/objects" ||
      fail 4 'genuine, but a sandbox made it: inputs of it are stand-ins, it is not for use' "$STATEMENT"
  fi
}

tell_unchecked() {
  [ -n "$SM3" ] || unchecked 'SM3 of the files: --sm3'
  if [ -z "$SM2_KEY" ] && grep -q '\.sm2$' "$TMP/files"; then unchecked 'SM2 signatures (.sm2): --sm2-key FILE, with openssl 3'; fi
  sed -n -e '/^evidence\/[0-9a-f]\{64\}\.sigstore\.json$/d' -e 's/^evidence\///p' "$TMP/files" >"$TMP/evidence"
  while IFS= read -r name; do
    case $name in
      release.json | release.sigstore.json | release.sm2) ;;
      *) unchecked "evidence/$name: rfo-build verify" ;;
    esac
  done <"$TMP/evidence"
  unchecked 'oci/index.json, oci/oci-layout, signatures and attestations of images, charts as artifacts, and that these are all there: cosign verify, rfo-build verify'
  unchecked 'bundles of the lists (.sigstore.json), which say what their .sig say: cosign verify-blob'
  unchecked 'bundles of single files (evidence/<sha256>.sigstore.json), which say what the statement says: cosign verify-blob-attestation'
  unchecked 'PGP signatures of charts and packages: helm verify, rpm -K, gpg --verify'
}

TMP=
ENDED=
DIR=
trap cleanup EXIT
trap 'ENDED=1; exit 129' HUP
trap 'ENDED=1; exit 130' INT
trap 'ENDED=1; exit 143' TERM
need_programs
read_options "$@"
need_openssl
setup_tmp
refuse_without_key
read_keys
cd -- "$DIR" || fail 9 "can't be entered" "$DIR"
list_folder
verify_statement
read_statement
check_version
check_presence
check_lists
check_files
check_images
check_sm2
check_sm3
check_sandbox
tell_unchecked
printf 'verified %s %s%s\n' "$VERSION" "$FINGERPRINT" "$MARK"
ENDED=1
