#!/bin/sh
# Installs RFO from a release: downloaded, or out of a directory on a host without a network.
#
#   curl -sfL .../install-rfo.sh | INSTALL_RFO_VERSION=v1.24.8+rfor1 sh -
#   INSTALL_RFO_ARTIFACT_PATH=/mnt/usb/v1.24.8+rfor1 INSTALL_RFO_KEY=/root/cosign.pub sh install-rfo.sh
#
# Environment:
#   INSTALL_RFO_VERSION           vX.Y.Z+rforN; default: the release that this installer came with
#   INSTALL_RFO_TYPE              server (default) or agent
#   INSTALL_RFO_METHOD            tar (default); rpm only says where packages come from
#   INSTALL_RFO_ARTIFACT_PATH     directory with the release's files; nothing is downloaded then
#   INSTALL_RFO_ARTIFACT_URL      where releases lie; the version, with + as %2B, is appended
#   INSTALL_RFO_KEY               file with the release's public key (PEM); the checksums' signature is verified with openssl
#   INSTALL_RFO_IMAGE_GROUPS      which image archives, for example "core canal"; default: every one in the directory, none from a URL
#   INSTALL_RFO_IMAGE_LISTS       1: the list of a group whose archive is not there is installed too; the node then pulls what it names
#   INSTALL_RFO_AGENT_IMAGES_DIR  default /var/lib/rancher/rfo/agent/images
#   INSTALL_RFO_TAR_PREFIX        default /usr/local; /opt/rfo when that is read-only or a mount of its own
#   INSTALL_RFO_SKIP_RELOAD       1: systemd is not told
#   INSTALL_RFO_PREPARE           1: what the host lacks is fixed, not only told
#   INSTALL_RFO_ALLOW_SANDBOX     the version of a sandbox release that may be installed nevertheless
#   INSTALL_RFO_ALLOW_PARTIAL     the platform (linux/riscv64) that may be installed although the release lacks images for it
#   ARCH                          default: uname -m
#
# Every file is copied first, its copy is compared with the release's checksums, and only then moved to its place. What is
# in the directory, in other image archives, in edited .env files or in NetworkManager's settings is never deleted or changed.
set -eu
umask 022
export LC_ALL=C

# A release's own copy names its version here.
RFO_VERSION=''
# RFO's name and the kernel's: rfo-build's own table is written here.
RFO_ARCHITECTURES='amd64=x86_64 arm64=aarch64 riscv64=riscv64'
RFO_URL='https://rfolabs.oss-cn-shenzhen.aliyuncs.com/rfo/releases'
RFO_IMAGES='/var/lib/rancher/rfo/agent/images'
RFO_FILES='bin/rfo
bin/rfo-killall.sh
bin/rfo-uninstall.sh
lib/systemd/system/rfo-agent.env
lib/systemd/system/rfo-agent.service
lib/systemd/system/rfo-server.env
lib/systemd/system/rfo-server.service
share/rfo/LICENSE.txt
share/rfo/rfo-cis-sysctl.conf'
NM_DIR='/etc/NetworkManager/conf.d'
NM_FILE="$NM_DIR/rfo-canal.conf"
NM_LINE='unmanaged-devices=interface-name:cali*;interface-name:flannel*'
NL='
'

info() {
  printf '[INFO]  %s\n' "$*"
}

warn() {
  printf '[WARN]  %s\n' "$*" >&2
}

fatal() {
  printf '[ERROR]  %s\n' "$*" >&2
  exit 1
}

has() {
  command -v "$1" >/dev/null 2>&1
}

# Names that others chose, on one line and without control characters.
plain() {
  printf '%s' "$1" | tr -c '[:print:]' '?'
}

setup_env() {
  [ "$(id -u)" -eq 0 ] || fatal 'you need to be root to install RFO'

  TYPE=${INSTALL_RFO_TYPE:-server}
  case $TYPE in
    server | agent) ;;
    *) fatal "INSTALL_RFO_TYPE is server or agent, not $(plain "$TYPE")" ;;
  esac

  case ${INSTALL_RFO_METHOD:-tar} in
    tar) ;;
    rpm | yum | dnf)
      fatal "RPMs come from a repository, not from this installer: add the release's rpm/ folder as one, then dnf install rfo-$TYPE"
      ;;
    *) fatal "INSTALL_RFO_METHOD is tar or rpm, not $(plain "$INSTALL_RFO_METHOD")" ;;
  esac

  VERSION=${INSTALL_RFO_VERSION:-$RFO_VERSION}
  [ -z "$VERSION" ] || check_version

  ARTIFACTS=${INSTALL_RFO_ARTIFACT_PATH:-}
  case $ARTIFACTS in
    '' | /*) ;;
    *) ARTIFACTS=./$ARTIFACTS ;;
  esac
  if [ -n "$ARTIFACTS" ]; then
    [ -d "$ARTIFACTS" ] || fatal "INSTALL_RFO_ARTIFACT_PATH is no directory: $(plain "$ARTIFACTS")"
  elif [ -z "$VERSION" ]; then
    fatal 'which release? Set INSTALL_RFO_VERSION, for example v1.24.8+rfor1'
  fi

  KEY=${INSTALL_RFO_KEY:-}
  case $KEY in
    '') warn 'INSTALL_RFO_KEY is not set: files are compared with the checksums, but nobody checks who signed those' ;;
    /*) ;;
    *) KEY=./$KEY ;;
  esac
  if [ -n "$KEY" ]; then
    [ -r "$KEY" ] || fatal "can't read INSTALL_RFO_KEY: $(plain "$KEY")"
    has openssl || fatal 'INSTALL_RFO_KEY needs openssl: dnf install -y openssl'
  fi
  has sha256sum || fatal 'sha256sum is missing: dnf install -y coreutils'

  IMAGES=${INSTALL_RFO_AGENT_IMAGES_DIR:-$RFO_IMAGES}
  case $IMAGES in
    /*) ;;
    *) fatal "INSTALL_RFO_AGENT_IMAGES_DIR is no absolute path: $(plain "$IMAGES")" ;;
  esac
}

check_version() {
  case $VERSION in
    *[!0-9a-z.+-]*) fatal "not a version of RFO: $(plain "$VERSION")" ;;
  esac
  printf '%s\n' "$VERSION" | grep -Eq '^v[0-9]+\.[0-9]+\.[0-9]+(-rc[0-9]+)?\+rfor[0-9]+$' ||
    fatal "not a version of RFO: $VERSION; give it as vX.Y.Z+rforN, for example v1.24.8+rfor1"
}

# RPMs and the tarball would overwrite one another's files, and one of them would never hear of it.
refuse_conflict() {
  if has rpm && rpm -q rfo-common >/dev/null 2>&1; then
    fatal 'RFO is installed from RPMs here: upgrade with dnf, or dnf remove rfo-common first'
  fi
}

setup_arch() {
  machine=${ARCH:-$(uname -m)}
  ARCH=
  for pair in $RFO_ARCHITECTURES; do
    case $machine in
      "${pair%=*}" | "${pair#*=}") ARCH=${pair%=*} ;;
    esac
  done
  [ -n "$ARCH" ] || fatal "unsupported architecture $(plain "$machine"): RFO is made for $RFO_ARCHITECTURES"
  PLATFORM=linux/$ARCH
  SUFFIX=linux-$ARCH
  TARBALL=rfo.$SUFFIX.tar.gz
  SUMS=sha256sum-$ARCH.txt
}

setup_downloader() {
  BASE=
  [ -z "$ARTIFACTS" ] || return 0
  BASE=${INSTALL_RFO_ARTIFACT_URL:-$RFO_URL}
  case $BASE in
    https://?* | http://?*) ;;
    *) fatal "INSTALL_RFO_ARTIFACT_URL is no http(s) URL: $(plain "$BASE")" ;;
  esac
  BASE=${BASE%/}/$(printf '%s' "$VERSION" | sed 's/+/%2B/g')
  if has curl; then
    DOWNLOADER=curl
  elif has wget; then
    DOWNLOADER=wget
  else
    fatal 'neither curl nor wget is here: dnf install -y curl, or use INSTALL_RFO_ARTIFACT_PATH'
  fi
}

# --- what the host needs ---------------------------------------------------------------------------------------------

needs() {
  warn "$1; fix: $2"
  MISSING=$((MISSING + 1))
}

check_host() {
  MISSING=0
  for program in tar gzip; do
    has "$program" && continue
    prepare || fatal "$program is missing; fix: dnf install -y $program (or INSTALL_RFO_PREPARE=1)"
    info "preparing: installing $program"
    install_package "$program" || fatal "$program could not be installed: dnf install -y $program"
  done
  if has systemctl; then
    check_firewalld
    check_cloud_setup
  fi
  check_network_manager
  [ "$MISSING" -eq 0 ] || warn 'INSTALL_RFO_PREPARE=1 applies these fixes'
}

prepare() {
  [ "${INSTALL_RFO_PREPARE:-}" = 1 ]
}

install_package() {
  if has dnf; then
    dnf install -y "$1" >&2
  elif has yum; then
    yum install -y "$1" >&2
  else
    return 1
  fi
}

# https://docs.rke2.io/known_issues: firewalld conflicts with Canal
check_firewalld() {
  systemctl is-active --quiet firewalld.service 2>/dev/null || systemctl is-enabled --quiet firewalld.service 2>/dev/null || return 0
  if prepare; then
    info 'preparing: disabling firewalld'
    systemctl disable --now firewalld.service >&2 || fatal 'firewalld could not be disabled: systemctl disable --now firewalld'
  else
    needs 'firewalld runs, which conflicts with Canal' 'systemctl disable --now firewalld'
  fi
}

check_cloud_setup() {
  for unit in nm-cloud-setup.service nm-cloud-setup.timer; do
    systemctl is-enabled --quiet "$unit" 2>/dev/null || continue
    if prepare; then
      info "preparing: disabling $unit"
      systemctl disable --now "$unit" >&2 || fatal "$unit could not be disabled: systemctl disable --now $unit"
    else
      needs "$unit is enabled, RFO's units refuse to start beside it" "systemctl disable --now $unit"
    fi
  done
}

check_network_manager() {
  [ -d /etc/NetworkManager ] || return 0
  for file in "$NM_DIR"/*.conf; do
    [ -f "$file" ] || continue
    if grep -Eq '^unmanaged-devices=(.*;)?interface-name:cali\*(;|$)' "$file" &&
      grep -Eq '^unmanaged-devices=(.*;)?interface-name:flannel\*(;|$)' "$file"; then
      return 0
    fi
  done
  if [ -e "$NM_FILE" ] || [ -L "$NM_FILE" ]; then
    needs "$NM_FILE does not keep NetworkManager off Canal's interfaces" "put $NM_LINE below [keyfile] in it yourself: it is left as it is"
  elif prepare; then
    info "preparing: writing $NM_FILE"
    mkdir -p "$NM_DIR"
    PARTIAL=$(mktemp "$NM_DIR/.rfo-canal.XXXXXXXX")
    printf '[keyfile]\n%s\n' "$NM_LINE" >"$PARTIAL"
    chmod 0644 "$PARTIAL"
    mv -f "$PARTIAL" "$NM_FILE"
    PARTIAL=
    if has systemctl && systemctl is-active --quiet NetworkManager.service 2>/dev/null; then
      systemctl reload NetworkManager.service >&2 || warn 'NetworkManager did not reload: systemctl reload NetworkManager'
    fi
  else
    needs "NetworkManager would manage Canal's interfaces" "printf '[keyfile]\\n$NM_LINE\\n' > $NM_FILE && systemctl reload NetworkManager"
  fi
}

# --- where it goes ---------------------------------------------------------------------------------------------------

# Units below a mount of its own are not there yet when systemd looks for them.
setup_prefix() {
  PREFIX=${INSTALL_RFO_TAR_PREFIX:-}
  if [ -z "$PREFIX" ]; then
    PREFIX=/usr/local
    if is_mount "$PREFIX" || ! is_writable "$PREFIX"; then
      PREFIX=/opt/rfo
      warn "/usr/local is read-only or a mount point; installing to $PREFIX"
    fi
  fi
  case $PREFIX in
    *[!A-Za-z0-9._/+-]* | *..*) fatal "INSTALL_RFO_TAR_PREFIX has characters that a unit can't hold: $(plain "$PREFIX")" ;;
    /?*) ;;
    *) fatal "INSTALL_RFO_TAR_PREFIX is no absolute path: $(plain "$PREFIX")" ;;
  esac
  PREFIX=${PREFIX%/}
}

is_mount() {
  has mountpoint && mountpoint -q "$1"
}

is_writable() {
  probe=$(mktemp "$1/.rfo-ro-test.XXXXXXXX" 2>/dev/null) || return 1
  rm -f "$probe"
}

# What is half done lies under these names, and goes when the installer ends, however it ends.
setup_tmp() {
  TMP_DIR=
  STAGE=
  PARTIAL=
  trap cleanup EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  TMP_DIR=$(mktemp -d "${TMPDIR:-/tmp}/rfo-install.XXXXXXXX") || fatal 'no temporary folder'
}

# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup() {
  [ -z "$TMP_DIR" ] || rm -rf "$TMP_DIR"
  [ -z "$STAGE" ] || rm -rf "$STAGE"
  [ -z "$PARTIAL" ] || rm -f "$PARTIAL"
}

# --- the release's files ---------------------------------------------------------------------------------------------

# fetch NAME TARGET: a copy, from the directory or the URL
fetch() {
  if [ -n "$ARTIFACTS" ]; then
    [ -f "$ARTIFACTS/$1" ] || fatal "the directory has no $1: $(plain "$ARTIFACTS")"
    cp "$ARTIFACTS/$1" "$2" || fatal "can't copy $1"
  else
    download "$BASE/$(printf '%s' "$1" | sed 's/+/%2B/g')" "$2" || fatal "download failed: $BASE/$1"
  fi
}

download() {
  case $DOWNLOADER in
    curl)
      case $1 in
        https:*) curl --globoff -fsSL --proto =https --retry 2 -o "$2" "$1" ;;
        *) curl --globoff -fsSL --proto =http,https --retry 2 -o "$2" "$1" ;;
      esac
      ;;
    wget) wget -q -O "$2" "$1" ;;
  esac
}

# The list is taken only if every line of it is `<sha256>  <path below the release>`.
stage_checksums() {
  if [ -n "$ARTIFACTS" ]; then
    info "staging local checksums from $(plain "$ARTIFACTS")/$SUMS"
  else
    info "downloading checksums at $BASE/$SUMS"
  fi
  fetch "$SUMS" "$TMP_DIR/sums"
  if [ -n "$KEY" ]; then
    fetch "$SUMS.sig" "$TMP_DIR/sums.sig"
    openssl dgst -sha256 -verify "$KEY" -signature "$TMP_DIR/sums.sig" "$TMP_DIR/sums" >/dev/null 2>&1 ||
      fatal "the signature of $SUMS is not by the key in INSTALL_RFO_KEY: do not use this release"
  fi
  [ -s "$TMP_DIR/sums" ] || fatal "$SUMS is empty"
  if grep -Evq '^[0-9a-f]{64}  [A-Za-z0-9_][A-Za-z0-9._+~^%@/-]*$' "$TMP_DIR/sums" ||
    grep -Eq '(^|/)\.\.?(/|$)|//' "$TMP_DIR/sums"; then
    fatal "$SUMS is no list of checksums: do not use this release"
  fi
  [ -z "$(cut -c67- "$TMP_DIR/sums" | sort | uniq -d)" ] || fatal "$SUMS names a file twice: do not use this release"
}

# sum_of NAME: the one checksum of exactly this name; nothing when the release has no such file
sum_of() {
  want=$1 awk 'substr($0, 67) == ENVIRON["want"] { print substr($0, 1, 64) }' "$TMP_DIR/sums"
}

# verify NAME FILE
verify() {
  expected=$(sum_of "$1")
  [ -n "$expected" ] || fatal "$SUMS does not name $1: do not use it"
  actual=$(sha256sum <"$2")
  actual=${actual%% *}
  [ "$expected" = "$actual" ] || fatal "sha256 of $1 does not match: expected $expected, got $actual"
}

# platforms.txt:
#   release v1.24.8+rfor1
#   linux/amd64 bootable
#   linux/riscv64 partial <what is missing>
check_release() {
  [ -n "$(sum_of platforms.txt)" ] || fatal "this release does not say what it holds (no platforms.txt): it can't be installed with this installer"
  fetch platforms.txt "$TMP_DIR/platforms"
  verify platforms.txt "$TMP_DIR/platforms"
  said=$(sed -n 's/^release //p' "$TMP_DIR/platforms")
  if [ -z "$VERSION" ]; then
    VERSION=$said
    check_version
  elif [ "$said" != "$VERSION" ]; then
    fatal "this is release $(plain "$said"), not $VERSION: set INSTALL_RFO_VERSION if it is the one that you want"
  fi

  mark=$(sum_of SANDBOX)
  if [ -n "$ARTIFACTS" ] && [ -e "$ARTIFACTS/SANDBOX" ]; then mark=there; fi
  if [ -n "$mark" ] && [ "${INSTALL_RFO_ALLOW_SANDBOX:-}" != "$VERSION" ]; then
    fatal "$VERSION is a sandbox release, its inputs are stand-ins; to install it nevertheless: INSTALL_RFO_ALLOW_SANDBOX=$VERSION"
  fi

  state=$(sed -n "s|^$PLATFORM ||p" "$TMP_DIR/platforms")
  case $state in
    bootable) ;;
    partial*)
      [ "${INSTALL_RFO_ALLOW_PARTIAL:-}" = "$PLATFORM" ] ||
        fatal "$VERSION is partial for $PLATFORM, it lacks$(plain "${state#partial}"); to install it nevertheless: INSTALL_RFO_ALLOW_PARTIAL=$PLATFORM"
      ;;
    *) fatal "$VERSION is not made for $PLATFORM" ;;
  esac
}

stage_tarball() {
  if [ -n "$ARTIFACTS" ]; then
    info "staging tarball from $(plain "$ARTIFACTS")/$TARBALL"
  else
    info "downloading tarball at $BASE/$TARBALL"
  fi
  [ -n "$(sum_of "$TARBALL")" ] || fatal "$VERSION has no $TARBALL"
  fetch "$TARBALL" "$TMP_DIR/tarball"
  info 'verifying tarball'
  verify "$TARBALL" "$TMP_DIR/tarball"
  listed=$(tar -tzf "$TMP_DIR/tarball" | sort) || fatal "$TARBALL can't be read"
  [ "$listed" = "$RFO_FILES" ] || fatal "$TARBALL does not hold the files of RFO: do not use this release"
}

# --- images ----------------------------------------------------------------------------------------------------------

# The archives or lists (tar\.zst, txt) that the release's checksums name, a name a line. Names come from that list alone:
# what else lies in the directory is not looked at.
image_files() {
  sed -n "s|^[0-9a-f]\\{64\\}  \\(rfo-images[a-z0-9-]*\\.$SUFFIX\\.$1\\)\$|\\1|p" "$TMP_DIR/sums"
}

here() {
  [ -z "$ARTIFACTS" ] || [ -e "$ARTIFACTS/$1" ]
}

wanted_archives() {
  if [ -n "${INSTALL_RFO_IMAGE_GROUPS:-}" ]; then
    printf '%s\n' "$INSTALL_RFO_IMAGE_GROUPS" | tr -s ' ,\t' '\n' | while IFS= read -r group; do
      [ -n "$group" ] || continue
      name=rfo-images-$group.$SUFFIX.tar.zst
      image_files 'tar\.zst' | grep -Fxq -- "$name" || fatal "$VERSION has no image group $(plain "$group") for $PLATFORM"
      printf '%s\n' "$name"
    done
  elif [ -n "$ARTIFACTS" ]; then
    image_files 'tar\.zst' | while IFS= read -r name; do
      if here "$name"; then printf '%s\n' "$name"; fi
    done
  fi
}

# A list beside the archives is checked too: whoever reads it later should read what was signed.
stage_lists() {
  mkdir "$TMP_DIR/lists"
  [ -n "$ARTIFACTS" ] || return 0
  image_files txt >"$TMP_DIR/list-names"
  while IFS= read -r name; do
    here "$name" || continue
    fetch "$name" "$TMP_DIR/lists/$name"
    verify "$name" "$TMP_DIR/lists/$name"
  done <"$TMP_DIR/list-names"
}

# rfo-images is core and canal in one: a node should not import the same images twice.
is_contained() {
  whole=rfo-images.$SUFFIX
  own=$TMP_DIR/lists/${1%.tar.zst}.txt
  if [ "$1" = "$whole.tar.zst" ] || ! grep -Fxq -- "$whole.tar.zst" "$TMP_DIR/archives"; then return 1; fi
  if [ ! -s "$own" ] || [ ! -s "$TMP_DIR/lists/$whole.txt" ]; then return 1; fi
  ! grep -Fxvq -f "$TMP_DIR/lists/$whole.txt" "$own"
}

# Every archive lies verified beside its place before the first one takes it.
stage_images() {
  stage_lists
  wanted_archives >"$TMP_DIR/archives" || exit 1
  tell_strangers
  : >"$TMP_DIR/staged"
  while IFS= read -r name; do
    if is_contained "$name"; then
      info "leaving out $name: rfo-images.$SUFFIX.tar.zst holds its images"
    else
      stage_image_file "$name"
    fi
  done <"$TMP_DIR/archives"
  [ "${INSTALL_RFO_IMAGE_LISTS:-}" = 1 ] || return 0
  for file in "$TMP_DIR/lists"/*.txt; do
    [ -f "$file" ] || continue
    name=${file##*/}
    [ "$name" != "rfo-images-all.$SUFFIX.txt" ] || continue
    grep -Fxq -- "${name%.txt}.tar.zst" "$TMP_DIR/archives" || stage_image_file "$name"
  done
}

# Copied on the same file system under dot names, which RFO does not read: a node never imports half an archive.
stage_image_file() {
  target=$IMAGES/$1
  [ ! -d "$target" ] || fatal "$(plain "$target") is a directory"
  if [ -f "$target" ] && [ ! -L "$target" ] && [ "$(sha256sum <"$target")" = "$(sum_of "$1")  -" ]; then
    info "$1 is installed already"
    return 0
  fi
  info "verifying $1"
  if [ -z "$STAGE" ]; then
    mkdir -p "$IMAGES"
    STAGE=$(mktemp -d "$IMAGES/.rfo-install.XXXXXXXX") || fatal "can't write to $(plain "$IMAGES")"
  fi
  fetch "$1" "$STAGE/.$1"
  verify "$1" "$STAGE/.$1"
  chmod 0644 "$STAGE/.$1"
  printf '%s\n' "$1" >>"$TMP_DIR/staged"
}

install_images() {
  [ -s "$TMP_DIR/staged" ] || return 0
  info "installing images to $(plain "$IMAGES")"
  while IFS= read -r name; do
    mv -f "$STAGE/.$name" "$IMAGES/$name"
  done <"$TMP_DIR/staged"
  rmdir "$STAGE"
  STAGE=
}

tell_strangers() {
  [ -n "$ARTIFACTS" ] || return 0
  for file in "$ARTIFACTS"/rfo-images*."$SUFFIX".tar*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    image_files 'tar\.zst' | grep -Fxq -- "$name" || warn "not installed, the release's checksums do not name it: $(plain "$name")"
  done
}

# --- program, scripts, units -----------------------------------------------------------------------------------------

unpack_tarball() {
  info "unpacking tarball file to $PREFIX"
  stage=$TMP_DIR/unpacked
  mkdir "$stage"
  tar -xzof "$TMP_DIR/tarball" -C "$stage" || fatal "$TARBALL can't be unpacked"
  units=$PREFIX/lib/systemd/system
  if [ "$PREFIX" != /usr/local ]; then
    units=/etc/systemd/system
    for file in "$stage"/lib/systemd/system/*.service "$stage/bin/rfo-uninstall.sh"; do
      sed "s|/usr/local|$PREFIX|g" "$file" >"$TMP_DIR/rewritten"
      cat "$TMP_DIR/rewritten" >"$file"
    done
  fi
  IFS=$NL
  for path in $RFO_FILES; do
    case $path in
      bin/*) place "$path" "$PREFIX/$path" 0755 ;;
      *.service) place "$path" "$units/${path##*/}" 0644 ;;
      *) place "$path" "$PREFIX/$path" 0644 ;;
    esac
  done
  unset IFS
  [ "$PREFIX" = /usr/local ] || warn "you may want to run: export PATH=\$PATH:$PREFIX/bin"
}

# place NAME TARGET MODE: renamed into place, so that a program that runs keeps its old file and no file is ever half there.
# An .env file that somebody changed stays, ours lies beside it.
place() {
  from=$stage/$1
  target=$2
  if [ ! -f "$from" ] || [ -L "$from" ]; then fatal "$1 in $TARBALL is no plain file: do not use this release"; fi
  case $target in
    *.env)
      if [ -e "$target" ] && [ "$(sha256sum <"$target")" != "$(sha256sum <"$from")" ]; then
        warn "$target was changed and is kept; this release's own is $target.rfonew"
        target=$target.rfonew
      fi
      ;;
  esac
  [ ! -d "$target" ] || fatal "$target is a directory"
  mkdir -p "${target%/*}"
  PARTIAL=$(mktemp "${target%/*}/.rfo-install.XXXXXXXX") || fatal "can't write to ${target%/*}"
  cat "$from" >"$PARTIAL" || fatal "can't write to ${target%/*}"
  chmod "$3" "$PARTIAL"
  mv -f "$PARTIAL" "$target"
  PARTIAL=
  # a file made under another name may have that name's SELinux context
  if has restorecon; then restorecon "$target" || warn "restorecon $target failed"; fi
}

reload_systemd() {
  if [ "${INSTALL_RFO_SKIP_RELOAD:-}" = 1 ] || ! has systemctl; then return 0; fi
  systemctl daemon-reload || warn 'systemd did not reload: systemctl daemon-reload'
}

do_install() {
  setup_env
  refuse_conflict
  setup_arch
  setup_downloader
  setup_tmp
  check_host
  setup_prefix
  [ -n "$ARTIFACTS" ] || info "using $VERSION as release"
  stage_checksums
  check_release
  stage_tarball
  stage_images
  install_images
  unpack_tarball
  reload_systemd
}

# The last line: a download that breaks off runs nothing.
do_install
