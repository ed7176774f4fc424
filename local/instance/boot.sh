#!/bin/bash
# Boots a copy of a root file system with systemd, in its own namespaces, and runs until it is killed. Needs root.
#
# usage: boot.sh IMAGE FOLDER
#   IMAGE   the root file system (never written to)
#   FOLDER  has `upper`, the instance's additions to the image; its console goes to standard output
# NETWORK names a network namespace to boot in; without it the instance shares this machine's network. VOLUME is a block device
# for its /dev/nvme1n1. /dev/disk has it only by the id of its file system; the program that attaches it adds the name by the volume's id.
set -euo pipefail
image=$1 folder=$2
mkdir -p "$folder/work" "$folder/root"

# The instance's processes get their own control group. Instances leave theirs behind when they end, so this removes old ones. Groups of running instances are busy and stay.
mounts=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts)
find "$mounts" -mindepth 1 -depth -type d -path "$mounts/ticklake-*" -mmin +10 -exec rmdir {} + 2> /dev/null || true
group=$(mktemp --directory "$mounts/ticklake-XXXXXX")

inside() {
  set -euo pipefail
  local image=$1 folder=$2 group=$3 root=$2/root
  echo 1 > "$group/cgroup.procs"
  mount -t overlay overlay -o "lowerdir=$image,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t tmpfs -o mode=755 tmpfs "$root/run"
  mount -t tmpfs -o mode=755 tmpfs "$root/dev"
  local device
  for device in null zero full random urandom tty; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
  done
  if [[ -n ${VOLUME:-} ]]; then
    touch "$root/dev/nvme1n1"
    mount --bind "$VOLUME" "$root/dev/nvme1n1"
    mkdir -p "$root/dev/disk/by-id" "$root/dev/disk/by-uuid"
    local uuid
    if uuid=$(blkid --match-tag UUID --output value "$VOLUME"); then
      ln -s ../../nvme1n1 "$root/dev/disk/by-uuid/$uuid"
    fi
  fi
  mkdir "$root/dev/shm" "$root/dev/pts"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  # shellcheck disable=SC2016 # expanded inside, where the control group is the namespace's root
  exec unshare --cgroup bash -c 'set -e
    mount -t cgroup2 cgroup2 "$0/sys/fs/cgroup"
    cd "$0"
    pivot_root . mnt
    cd /
    umount --lazy /mnt
    container=ticklake exec /lib/systemd/systemd' "$root"
}
export -f inside
# Killing this process kills the whole instance, as --kill-child ends the namespace's first process.
in_network=(${NETWORK:+nsenter "--net=/run/netns/$NETWORK"})
exec "${in_network[@]}" unshare --mount --pid --uts --ipc --fork --kill-child --propagation private bash -c 'inside "$@"' boot "$image" "$folder" "$group"
