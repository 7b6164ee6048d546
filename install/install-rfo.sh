#!/bin/sh
# Installs RFO from a release: downloaded, or out of a directory on a host without a network.
#
#   curl -sfL .../install-rfo.sh | INSTALL_RFO_VERSION=v1.24.8+rfor1 sh -
#   INSTALL_RFO_ARTIFACT_PATH=/mnt/usb/v1.24.8+rfor1 INSTALL_RFO_KEY=/root/cosign.pub sh install-rfo.sh
#
# Environment:
#   INSTALL_RFO_VERSION           vX.Y.Z+rforN; default: the release that this installer came with
#   INSTALL_RFO_TYPE              server (default) or agent
#   INSTALL_RFO_METHOD            tar, or rpm: by dnf from the release's own repository. Default: how RFO is installed here already;
#                                 else rpm on openEuler where the release has signed packages, else tar
#   INSTALL_RFO_ARTIFACT_PATH     directory with the release's files; nothing is downloaded then
#   INSTALL_RFO_ARTIFACT_URL      where releases lie; the version, with + as %2B, is appended
#   INSTALL_RFO_KEY               file with the release's public key (PEM); the checksums' signature is verified with openssl
#   INSTALL_RFO_PGP_KEY           file with the public key that signs the packages; default: the one that the release brings
#   INSTALL_RFO_IMAGE_GROUPS      which image archives, for example "core canal"; default: every one in the directory, none from a URL
#   INSTALL_RFO_IMAGE_LISTS       1: the list of a group whose archive is not there is installed too; the node then pulls what it names
#   INSTALL_RFO_AGENT_IMAGES_DIR  default /var/lib/rancher/rfo/agent/images
#   INSTALL_RFO_TAR_PREFIX        default /usr/local; /opt/rfo when that is read-only or a mount of its own
#   INSTALL_RFO_SKIP_RELOAD       1: systemd is not told
#   INSTALL_RFO_PREPARE           1: what the host lacks is fixed, not only told
#   INSTALL_RFO_ALLOW_SANDBOX     the version of a sandbox release that may be installed nevertheless
#   INSTALL_RFO_ALLOW_PARTIAL     the platform (linux/riscv64), or 1: it may be installed although the release lacks images for it
#   INSTALL_RFO_ALLOW_DOWNGRADE   the older version that may be installed, as a step of restoring etcd
#   ARCH                          default: uname -m
#
# Every file is copied first, its copy is compared with the release's checksums, and only then moved to its place. What is
# in the directory, in other image archives, in edited .env files or in NetworkManager's settings is never deleted or changed.
# When a step fails, what was there before is there again.
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
  printf '%s' "$1" | tr -c ' -~' '?'
}

setup_env() {
  [ "$(id -u)" -eq 0 ] || fatal 'you need to be root to install RFO'

  TYPE=${INSTALL_RFO_TYPE:-server}
  case $TYPE in
    server | agent) ;;
    *) fatal "INSTALL_RFO_TYPE is server or agent, not $(plain "$TYPE")" ;;
  esac

  METHOD=${INSTALL_RFO_METHOD:-}
  case $METHOD in
    '' | tar | rpm) ;;
    yum | dnf) METHOD=rpm ;;
    *) fatal "INSTALL_RFO_METHOD is tar or rpm, not $(plain "$METHOD")" ;;
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
  PGP_KEY=${INSTALL_RFO_PGP_KEY:-}
  case $PGP_KEY in
    '' | /*) ;;
    *) PGP_KEY=./$PGP_KEY ;;
  esac
  if [ -n "$PGP_KEY" ] && [ ! -r "$PGP_KEY" ]; then fatal "can't read INSTALL_RFO_PGP_KEY: $(plain "$PGP_KEY")"; fi
  has sha256sum || fatal 'sha256sum is missing: dnf install -y coreutils'

  IMAGES=${INSTALL_RFO_AGENT_IMAGES_DIR:-$RFO_IMAGES}
  case $IMAGES in
    *"$NL"*) fatal 'INSTALL_RFO_AGENT_IMAGES_DIR is more than one line' ;;
    /*) ;;
    *) fatal "INSTALL_RFO_AGENT_IMAGES_DIR is no absolute path: $(plain "$IMAGES")" ;;
  esac
}

check_version() {
  case $VERSION in
    *[!0-9a-z.+-]*) fatal "not a version of RFO: $(plain "$VERSION")" ;;
  esac
  printf '%s\n' "$VERSION" | is_version ||
    fatal "not a version of RFO: $VERSION; give it as vX.Y.Z+rforN, for example v1.24.8+rfor1"
}

# of a line on stdin; the numbers are those of printf %d
is_version() {
  n='(0|[1-9][0-9]{0,8})'
  grep -Eq "^v$n\\.$n\\.$n(-rc$n)?\\+rfor$n\$"
}

setup_arch() {
  machine=${ARCH:-$(uname -m)}
  ARCH=
  RPM_ARCH=
  for pair in $RFO_ARCHITECTURES; do
    case $machine in
      "${pair%=*}" | "${pair#*=}") ARCH=${pair%=*} RPM_ARCH=${pair#*=} ;;
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
  if [ "$METHOD" = rpm ]; then set -- rpm; else set -- tar gzip; fi
  for program; do
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

# --- what is there already -------------------------------------------------------------------------------------------

# INSTALLED: its version, if it says one; INSTALLED_BY: rpm, tar or nothing; TAR_AT: where a tarball was unpacked
find_installed() {
  INSTALLED=
  INSTALLED_BY=
  TAR_AT=
  for prefix in "${INSTALL_RFO_TAR_PREFIX:-/usr/local}" /usr/local /opt/rfo; do
    if [ -z "$TAR_AT" ] && [ -x "${prefix%/}/bin/rfo" ] && [ ! -d "${prefix%/}/bin/rfo" ]; then TAR_AT=${prefix%/}; fi
  done
  if has rpm && rpm -q rfo-common >/dev/null 2>&1; then
    INSTALLED_BY=rpm
    INSTALLED=$(rpm -q --qf '%{VERSION}\n' rfo-common 2>/dev/null | sed -n 's/~rc/-rc/; s/^\([0-9].*\)~rfor/v\1+rfor/p')
  elif [ -n "$TAR_AT" ]; then
    INSTALLED_BY=tar
    INSTALLED=$("$TAR_AT/bin/rfo" --version 2>/dev/null </dev/null | sed -n 's/^rfo version \(v[0-9a-z.+-]*\) .*/\1/p') || :
  fi
  [ -n "$INSTALLED_BY" ] || return 0
  printf '%s\n' "$INSTALLED" | is_version && return 0
  warn 'RFO is installed here and does not say which version: nobody checks that this is no downgrade'
  INSTALLED=
}

# A host stays with what it has. RPMs and the tarball would overwrite one another's files, and one of them would never hear of it.
choose_method() {
  if [ -n "$METHOD" ]; then
    if [ "$METHOD$INSTALLED_BY" = tarrpm ]; then
      fatal 'RFO is installed from RPMs here: leave out INSTALL_RFO_METHOD, or dnf remove rfo-common first'
    fi
  elif [ -n "$INSTALLED_BY" ]; then
    METHOD=$INSTALLED_BY
  elif [ -z "${INSTALL_RFO_TAR_PREFIX:-}" ] && grep -Eq '^ID="?openEuler"?$' /etc/os-release 2>/dev/null && package_manager && has_packages; then
    METHOD=rpm
  else
    METHOD=tar
  fi
}

# version_key VERSION: as strings, older ones are smaller; a candidate comes before its release
version_key() {
  rest=${1#v}
  revision=${rest##*+rfor}
  rest=${rest%+rfor*}
  candidate=999999999
  case $rest in
    *-rc*)
      candidate=${rest##*-rc}
      rest=${rest%-rc*}
      ;;
  esac
  minor=${rest#*.}
  printf 'k%09d%09d%09d%09d%09d' "${rest%%.*}" "${minor%.*}" "${minor#*.}" "$candidate" "$revision"
}

# https://kubernetes.io/releases/version-skew-policy/: a control plane goes up minor by minor, and never down
check_upgrade() {
  [ -n "$INSTALLED" ] || return 0
  old=${INSTALLED#v*.}
  new=${VERSION#v*.}
  if [ "${INSTALLED%%.*}" = "${VERSION%%.*}" ] && [ "${new%%.*}" -gt "$((${old%%.*} + 1))" ]; then
    fatal "$INSTALLED is installed, and Kubernetes is upgraded one minor at a time: install ${VERSION%%.*}.$((${old%%.*} + 1)) before $VERSION"
  fi
  old=$(version_key "$INSTALLED") new=$(version_key "$VERSION") awk 'BEGIN { exit !(ENVIRON["new"] < ENVIRON["old"]) }' || return 0
  [ "${INSTALL_RFO_ALLOW_DOWNGRADE:-}" = "$VERSION" ] && return 0
  cat >&2 <<EOF
Going back is restoring etcd from a snapshot that $VERSION made: an older Kubernetes can't read what a newer one wrote.
  1. on every server: systemctl stop rfo-server; rfo-killall.sh
  2. on every server: this installer with INSTALL_RFO_VERSION=$VERSION INSTALL_RFO_ALLOW_DOWNGRADE=$VERSION
  3. on one server: rfo server --cluster-reset --cluster-reset-restore-path=/var/lib/rancher/rfo/server/db/snapshots/<snapshot>
     and then: systemctl start rfo-server
  4. on the other servers: rm -rf /var/lib/rancher/rfo/server/db; systemctl start rfo-server
  5. on every agent: this installer as in 2; systemctl restart rfo-agent
EOF
  fatal "$INSTALLED is installed, and $VERSION is older: restore etcd instead, as above"
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
  : >"$TMP_DIR/staged-files"
  : >"$TMP_DIR/swapped"
}

# shellcheck disable=SC2317,SC2329 # called by the trap
cleanup() {
  if [ -n "$TMP_DIR" ]; then
    undo
    while IFS= read -r staged; do rm -f "$staged" "$staged.old"; done <"$TMP_DIR/staged-files"
    rm -rf "$TMP_DIR"
  fi
  [ -z "$STAGE" ] || rm -rf "$STAGE"
  [ -z "$PARTIAL" ] || rm -f "$PARTIAL"
}

# swap STAGED TARGET: renamed, so that no file is ever half there and a program that runs keeps its old one. What was there stays
# beside it until all of the installation is done.
swap() {
  if [ -e "$2" ] || [ -L "$2" ]; then ln "$2" "$1.old" 2>/dev/null || cp -P "$2" "$1.old"; fi
  printf '%s\n%s\n' "$1.old" "$2" >>"$TMP_DIR/swapped"
  mv -f "$1" "$2"
}

# shellcheck disable=SC2317,SC2329 # called by the trap
undo() {
  [ -s "$TMP_DIR/swapped" ] || return 0
  # a signal is heard when the package manager has ended, and it may have done it all
  # shellcheck disable=SC2086 # words
  if [ -n "${PACKAGES:-}" ] && rpm -q $PACKAGES >/dev/null 2>&1; then return 0; fi
  warn 'putting back what was there before'
  while IFS= read -r old && IFS= read -r target; do
    if [ -e "$old" ] || [ -L "$old" ]; then mv -f "$old" "$target"; else rm -f "$target"; fi
  done <"$TMP_DIR/swapped"
}

commit() {
  : >"$TMP_DIR/swapped"
}

# --- the release's files ---------------------------------------------------------------------------------------------

# fetch NAME TARGET: a copy, from the directory or the URL
fetch() {
  if [ -n "$ARTIFACTS" ]; then
    [ -f "$ARTIFACTS/$1" ] || fatal "the directory has no $1: $(plain "$ARTIFACTS")"
    cp "$ARTIFACTS/$1" "$2" || fatal "can't copy $1"
  else
    download_name "$1" "$2" || fatal "download failed: $BASE/$1"
  fi
}

# offered NAME TARGET: fetch, when it is there
offered() {
  if [ -n "$ARTIFACTS" ]; then
    [ -f "$ARTIFACTS/$1" ] && cp "$ARTIFACTS/$1" "$2"
  else
    download_name "$1" "$2" 2>/dev/null
  fi
}

download_name() {
  download "$BASE/$(printf '%s' "$1" | sed 's/+/%2B/g')" "$2"
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
      case ${INSTALL_RFO_ALLOW_PARTIAL:-} in 1 | "$PLATFORM") return 0 ;; esac
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
      if ! here "$name" && here "${name%.zst}.gz"; then name=${name%.zst}.gz; fi
      printf '%s\n' "$name"
    done
  elif [ -n "$ARTIFACTS" ]; then
    image_files 'tar\.zst' | while IFS= read -r name; do
      if here "$name"; then printf '%s\n' "$name"; fi
    done
    # the same images for sites without zstd, where a release has them
    image_files 'tar\.gz' | while IFS= read -r name; do
      if here "$name" && ! here "${name%.gz}.zst"; then printf '%s\n' "$name"; fi
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

# Whether an archive of this name is taken, in whichever form.
is_wanted() {
  grep -Fxq -e "$1.tar.zst" -e "$1.tar.gz" "$TMP_DIR/archives"
}

# rfo-images is core and canal in one: a node should not import the same images twice.
is_contained() {
  whole=rfo-images.$SUFFIX
  own=$TMP_DIR/lists/${1%.tar.*}.txt
  if [ "${1%.tar.*}" = "$whole" ] || ! is_wanted "$whole"; then return 1; fi
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
      info "leaving out $name: rfo-images.$SUFFIX holds its images"
    else
      stage_image_file "$name"
    fi
  done <"$TMP_DIR/archives"
  [ "${INSTALL_RFO_IMAGE_LISTS:-}" = 1 ] || return 0
  for file in "$TMP_DIR/lists"/*.txt; do
    [ -f "$file" ] || continue
    name=${file##*/}
    [ "$name" != "rfo-images-all.$SUFFIX.txt" ] || continue
    is_wanted "${name%.txt}" || stage_image_file "$name"
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
  case $1 in
    *.tar.zst) other=${1%.zst}.gz ;;
    *.tar.gz) other=${1%.gz}.zst ;;
    *) other=. ;;
  esac
  [ ! -f "$IMAGES/$other" ] || warn "$(plain "$IMAGES/$other") stays, and RFO imports both: remove it if nobody needs it"
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
    swap "$STAGE/.$name" "$IMAGES/$name"
  done <"$TMP_DIR/staged"
}

tell_strangers() {
  [ -n "$ARTIFACTS" ] || return 0
  for file in "$ARTIFACTS"/rfo-images*."$SUFFIX".tar*; do
    [ -e "$file" ] || continue
    name=${file##*/}
    { image_files 'tar\.zst' && image_files 'tar\.gz'; } | grep -Fxq -- "$name" || warn "not installed, the release's checksums do not name it: $(plain "$name")"
  done
}

# --- program, scripts, units -----------------------------------------------------------------------------------------

unpack_tarball() {
  stage=$TMP_DIR/unpacked
  mkdir "$stage"
  tar -xzof "$TMP_DIR/tarball" -C "$stage" || fatal "$TARBALL can't be unpacked"
  units=$(units_of "$PREFIX")
  if [ "$PREFIX" != /usr/local ]; then
    for file in "$stage"/lib/systemd/system/*.service "$stage/bin/rfo-uninstall.sh"; do
      sed "s|/usr/local|$PREFIX|g" "$file" >"$TMP_DIR/rewritten"
      cat "$TMP_DIR/rewritten" >"$file"
    done
  fi
  IFS=$NL
  for path in $RFO_FILES; do
    case $path in
      bin/*) stage_file "$path" "$PREFIX/$path" 0755 ;;
      *.service) stage_file "$path" "$units/${path##*/}" 0644 ;;
      *) stage_file "$path" "$PREFIX/$path" 0644 ;;
    esac
  done
  unset IFS
}

units_of() {
  if [ "$1" = /usr/local ]; then printf '%s\n' "$1/lib/systemd/system"; else printf '%s\n' /etc/systemd/system; fi
}

# stage_file NAME TARGET MODE: written beside its place. An .env file that somebody changed stays, ours lies beside it.
stage_file() {
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
  printf '%s\n' "$PARTIAL" >>"$TMP_DIR/staged-files"
  cat "$from" >"$PARTIAL" || fatal "can't write to ${target%/*}"
  chmod "$3" "$PARTIAL"
  printf '%s\n%s\n' "$PARTIAL" "$target" >>"$TMP_DIR/placed"
  PARTIAL=
}

# Everything lies beside its place before the first file takes it.
install_tarball() {
  info "unpacking tarball file to $PREFIX"
  while IFS= read -r staged && IFS= read -r target; do
    swap "$staged" "$target"
    # a file made under another name may have that name's SELinux context
    if has restorecon; then restorecon "$target" || warn "restorecon $target failed"; fi
  done <"$TMP_DIR/placed"
}

# --- packages --------------------------------------------------------------------------------------------------------

# MANAGER: what installs packages here
package_manager() {
  for MANAGER in dnf yum; do
    has "$MANAGER" && return 0
  done
  return 1
}

# REPOSITORY: the folder of this architecture's, which the checksums name; and the key that came with the release, or the given one
has_packages() {
  REPOSITORY=$(sed -n "s|^[0-9a-f]\\{64\\}  \\(rpm/.*/$RPM_ARCH\\)/repodata/repomd\\.xml\$|\\1|p" "$TMP_DIR/sums")
  case $REPOSITORY in
    '') return 1 ;;
    *"$NL"*) fatal "$SUMS names two repositories for $RPM_ARCH: do not use this release" ;;
  esac
  if [ -n "$PGP_KEY" ]; then
    cp "$PGP_KEY" "$TMP_DIR/pgp-key" || fatal "can't read INSTALL_RFO_PGP_KEY: $(plain "$PGP_KEY")"
  else
    offered rpm/RPM-GPG-KEY-rfo "$TMP_DIR/pgp-key"
  fi
}

# package_path NAME: in the release; nothing when it has none
package_path() {
  sed -n "s|^[0-9a-f]\\{64\\}  \\($REPOSITORY/Packages/$1-[0-9][^/]*\\.rpm\\)\$|\\1|p" "$TMP_DIR/sums"
}

# The node's own, whatever of RFO is here already, since all of it is of one version, and the policy where SELinux asks for one.
wanted_packages() {
  printf '%s\n' rfo-common "rfo-$TYPE"
  for name in rfo-server rfo-agent kube-explorer rfo-selinux; do
    if rpm -q "$name" >/dev/null 2>&1; then printf '%s\n' "$name"; fi
  done
  if has selinuxenabled && selinuxenabled; then printf '%s\n' rfo-selinux; fi
}

# PACKAGES: as dnf names them; they, the repository's lists and their signature lie verified in a folder of ours
stage_packages() {
  package_manager || fatal 'INSTALL_RFO_METHOD=rpm needs dnf or yum: leave it out'
  has_packages || fatal "$VERSION has no signed packages for $PLATFORM: INSTALL_RFO_METHOD=tar"
  case $TMP_DIR in
    *[!A-Za-z0-9._/-]*) fatal "TMPDIR has characters that a repository's address can't hold: $(plain "$TMP_DIR")" ;;
  esac
  mkdir -p "$TMP_DIR/repository/repodata" "$TMP_DIR/repository/Packages"
  PACKAGES=
  wanted_packages | sort -u >"$TMP_DIR/wanted"
  while IFS= read -r name; do
    path=$(package_path "$name")
    if [ -n "$path" ]; then
      path=${path##*/}
      PACKAGES="$PACKAGES ${path%.rpm}"
    elif [ "$name" = rfo-common ] || [ "$name" = "rfo-$TYPE" ]; then
      fatal "$VERSION has no package $name for $PLATFORM"
    fi
  done <"$TMP_DIR/wanted"
  PACKAGES=${PACKAGES# }
  # shellcheck disable=SC2086 # words
  if rpm -q $PACKAGES >/dev/null 2>&1; then
    info "installed already: $PACKAGES"
    PACKAGES=
    return 0
  fi
  if [ -n "$ARTIFACTS" ]; then
    info "staging packages from $(plain "$ARTIFACTS")/$REPOSITORY"
  else
    info "downloading packages at $BASE/$REPOSITORY"
  fi
  fetch "$REPOSITORY/repodata/repomd.xml.asc" "$TMP_DIR/repository/repodata/repomd.xml.asc"
  sed -n "s|^[0-9a-f]\\{64\\}  $REPOSITORY/\\(repodata/[^/]*\\)\$|\\1|p" "$TMP_DIR/sums" >"$TMP_DIR/to-stage"
  for name in $PACKAGES; do printf 'Packages/%s.rpm\n' "$name"; done >>"$TMP_DIR/to-stage"
  while IFS= read -r path; do
    fetch "$REPOSITORY/$path" "$TMP_DIR/repository/$path"
  done <"$TMP_DIR/to-stage"
  info 'verifying packages'
  while IFS= read -r path; do
    verify "$REPOSITORY/$path" "$TMP_DIR/repository/$path"
  done <"$TMP_DIR/to-stage"
  check_pgp
}

# dnf checks both signatures itself; gpg says it before anything is touched, and whose they are.
check_pgp() {
  [ -n "$PGP_KEY" ] || warn 'INSTALL_RFO_PGP_KEY is not set: packages are compared with the key that came with them'
  has gpg || return 0
  mkdir -m 0700 "$TMP_DIR/gpg"
  gpg --batch --quiet --no-autostart --homedir "$TMP_DIR/gpg" --import "$TMP_DIR/pgp-key" >/dev/null 2>&1 || fatal 'the key of the packages can not be read'
  (cd "$TMP_DIR/repository/repodata" && gpg --batch --no-autostart --homedir "$TMP_DIR/gpg" --verify repomd.xml.asc repomd.xml >/dev/null 2>&1) ||
    fatal 'the signature of repomd.xml is not by the key of the packages: do not use this release'
  info "packages are signed by $(gpg --batch --no-autostart --homedir "$TMP_DIR/gpg" --with-colons --list-keys 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')"
}

# The release's repository alone first: a host without a network asks none of its own. What RFO needs besides is the system's.
install_packages() {
  [ -n "$PACKAGES" ] || return 0
  info "installing packages with $MANAGER: $PACKAGES"
  # a plugin of dnf's (local) adds a repository of its own to whatever is asked
  ask_manager --noplugins '--disablerepo=*' --enablerepo=rfo-install && return 0
  if grep -q 'nothing provides' "$TMP_DIR/manager"; then
    info "asking this host's repositories for what the packages need"
    ask_manager && return 0
  fi
  tr -c '\n -~' '?' <"$TMP_DIR/manager" >&2
  fatal "$MANAGER did not install the packages"
}

ask_manager() {
  verb=install
  [ "${INSTALL_RFO_ALLOW_DOWNGRADE:-}" != "$VERSION" ] || [ "$INSTALLED_BY" != rpm ] || verb=downgrade
  # shellcheck disable=SC2086 # words
  "$MANAGER" -y "--repofrompath=rfo-install,file://$TMP_DIR/repository" "$@" \
    --setopt=rfo-install.gpgcheck=1 --setopt=rfo-install.repo_gpgcheck=1 "--setopt=rfo-install.gpgkey=file://$TMP_DIR/pgp-key" \
    "--setopt=cachedir=$TMP_DIR/cache" $verb $PACKAGES >"$TMP_DIR/manager" 2>&1
}

# What a tarball of an earlier release left: packages have its files now. Settings, units and their state go on.
note_units() {
  : >"$TMP_DIR/enabled"
  : >"$TMP_DIR/active"
  if [ -z "$TAR_AT" ] || ! has systemctl; then return 0; fi
  for unit in rfo-server.service rfo-agent.service; do
    if systemctl is-enabled --quiet "$unit" 2>/dev/null; then printf '%s\n' "$unit" >>"$TMP_DIR/enabled"; fi
    if systemctl is-active --quiet "$unit" 2>/dev/null; then printf '%s\n' "$unit" >>"$TMP_DIR/active"; fi
  done
}

move_from_tarball() {
  [ -n "$TAR_AT" ] || return 0
  kept=/var/lib/rancher/rfo/tar-installation
  units=$(units_of "$TAR_AT")
  info "moving from the tarball in $TAR_AT to packages; its units and settings are kept in $kept"
  mkdir -p "$kept"
  for kind in server agent; do carry_settings "$TAR_AT/lib/systemd/system/rfo-$kind.env" "/etc/sysconfig/rfo-$kind"; done
  IFS=$NL
  for path in $RFO_FILES; do
    file=$TAR_AT/$path
    case $path in
      *.service) file=$units/${path##*/} ;;
    esac
    [ -f "$file" ] || continue
    case $path in
      lib/*) cp -p "$file" "$kept/${path##*/}" || fatal "can't write to $kept" ;;
    esac
    rm -f "$file"
  done
  unset IFS
  rmdir "$TAR_AT/share/rfo" 2>/dev/null || :
  # a package's units are disabled when they come
  while IFS= read -r unit; do
    systemctl reenable "$unit" >&2 || warn "$unit is not enabled any more: systemctl enable $unit"
  done <"$TMP_DIR/enabled"
}

# carry_settings OLD NEW: lines that the tarball did not come with; the last one of a name counts, as before
carry_settings() {
  if [ ! -f "$1" ] || [ ! -f "$2" ]; then return 0; fi
  grep -Ev '^(HOME=/root)?$' "$1" | grep -Fxv -f "$2" >"$TMP_DIR/carried" || return 0
  PARTIAL=$(mktemp "${2%/*}/.rfo-install.XXXXXXXX") || fatal "can't write to ${2%/*}"
  cat "$2" "$TMP_DIR/carried" >"$PARTIAL"
  chmod 0644 "$PARTIAL"
  mv -f "$PARTIAL" "$2"
  PARTIAL=
  info "settings of $1 are in $2 now"
}

restart_moved() {
  [ "${INSTALL_RFO_SKIP_RELOAD:-}" = 1 ] && return 0
  while IFS= read -r unit; do
    systemctl try-restart "$unit" >&2 || warn "$unit did not start again: systemctl restart $unit"
  done <"$TMP_DIR/active"
}

reload_systemd() {
  if [ "${INSTALL_RFO_SKIP_RELOAD:-}" = 1 ] || ! has systemctl; then return 0; fi
  systemctl daemon-reload || warn 'systemd did not reload: systemctl daemon-reload'
}

install_by_tar() {
  setup_prefix
  stage_tarball
  stage_images
  unpack_tarball
  install_images
  install_tarball
  commit
  [ "$PREFIX" = /usr/local ] || warn "you may want to run: export PATH=\$PATH:$PREFIX/bin"
  reload_systemd
}

install_by_rpm() {
  stage_packages
  stage_images
  note_units
  install_images
  install_packages
  commit
  move_from_tarball
  reload_systemd
  restart_moved
}

do_install() {
  setup_env
  setup_arch
  setup_downloader
  setup_tmp
  find_installed
  [ -n "$ARTIFACTS" ] || info "using $VERSION as release"
  stage_checksums
  check_release
  choose_method
  check_upgrade
  check_host
  case $METHOD in
    tar) install_by_tar ;;
    rpm) install_by_rpm ;;
  esac
}

# The last line: a download that breaks off runs nothing.
do_install
