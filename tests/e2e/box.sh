#!/usr/bin/env bash
# A systemd as PID 1 of namespaces of its own, over an overlay of this machine's root: nothing that
# it writes reaches the host. Used by box.py.
#   box.sh keep FOLDER CGROUP [BIND]...  boots it, says the pid of its parent, and takes all away when
#                                        standard input ends
#   box.sh boot FOLDER [BIND]...         becomes that PID 1
# What is in FOLDER/files lies over the host's root; a BIND is a host folder, under its own path.
set -eu

# Standard input ends with the test, however that ends: so nothing is left behind by a SIGKILL either.
keep() {
  local folder=$1 cgroup=$2 outer tries=1000
  shift 2
  trap '' HUP INT TERM
  mkdir "$cgroup" || { rm -rf "$folder"; exit 1; }
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"  # the new cgroup namespace has its root there
    exec setpriv --pdeathsig KILL unshare --cgroup --mount --uts --ipc --net --pid --fork \
      --kill-child=SIGKILL bash "$0" boot "$folder" "$@" </dev/null >"$folder/log" 2>&1
  ) &
  outer=$!
  echo "$outer"
  exec >"$folder/keeper.log" 2>&1
  set +e
  read -r
  kill -KILL %1
  wait "$outer"
  while grep -q 'populated 1' "$cgroup/cgroup.events" && [ $((tries -= 1)) -gt 0 ]; do sleep 0.01; done
  find "$cgroup" -depth -type d -exec rmdir {} \;
  rm -rf --one-file-system "$folder"
}

mount_kernel_file_systems() {
  local each
  mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
  # What is set there is set for the host, except in net/, which is the namespace's.
  for each in sys sysrq-trigger; do
    [ -e "$root/proc/$each" ] || continue
    mount --bind "$root/proc/$each" "$root/proc/$each"
    mount -o remount,bind,ro "$root/proc/$each"
  done
  mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
  mount -o remount,bind,rw "$root/proc/sys/net"
  mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
  mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
}

make_devices() {
  local name minor
  mount -t tmpfs -o nosuid,mode=755 tmpfs "$root/dev"
  mkdir "$root/dev/pts" "$root/dev/shm"
  for name in null:3 zero:5 full:7 random:8 urandom:9; do
    minor=${name#*:}
    mknod -m 666 "$root/dev/${name%:*}" c 1 "$minor"
  done
  mknod -m 666 "$root/dev/tty" c 5 0
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$root/dev/pts"
  mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/dev/shm"
  ln -s pts/ptmx "$root/dev/ptmx"
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s fd/0 "$root/dev/stdin"
  ln -s fd/1 "$root/dev/stdout"
  ln -s fd/2 "$root/dev/stderr"
}

# Of the host's units the journal's alone: what others would do here, to devices, clock and keyboard, is
# not for a box.
write_configuration() {
  local etc=$root/etc lib=$root/lib/systemd/system target
  # Their generators would make units of init scripts and partitions, and slow each daemon-reload.
  rm -rf "$etc/systemd/system" "$root/lib/systemd/system-generators"
  for target in local-fs multi-user sockets sysinit timers; do
    rm -rf "$lib/$target.target.wants"
  done
  mkdir -p "$etc"/systemd/{system,system.conf.d,journald.conf.d} "$lib"/{sockets,sysinit}.target.wants
  ln -s ../systemd-journald.socket ../systemd-journald-dev-log.socket "$lib/sockets.target.wants/"
  ln -s ../systemd-journald.service ../systemd-tmpfiles-setup.service "$lib/sysinit.target.wants/"
  printf '%s\n' '[Unit]' 'Requires=basic.target' 'After=basic.target' 'AllowIsolate=yes' \
    >"$etc/systemd/system/box.target"
  printf '%s\n' '[Manager]' 'DefaultTimeoutStartSec=20s' 'DefaultTimeoutStopSec=10s' DefaultLimitCORE=0 \
    >"$etc/systemd/system.conf.d/box.conf"
  printf '%s\n' '[Journal]' 'Storage=volatile' 'RateLimitIntervalSec=0' \
    >"$etc/systemd/journald.conf.d/box.conf"
  # In a container these are mounts, of which the overlay has only the empty files below.
  rm -f "$etc"/{machine-id,hosts,hostname,resolv.conf,fstab}
  echo 0123456789abcdef0123456789abcdef >"$etc/machine-id"
  printf '%s\n' '127.0.0.1 localhost box' '::1 localhost' >"$etc/hosts"
  echo box >"$etc/hostname"
  touch "$etc/fstab" "$etc/resolv.conf"
}

boot() {
  local folder=$1 root each
  shift
  mount -t tmpfs -o mode=755 box "$folder/mnt"
  mkdir "$folder"/mnt/{upper,work,root}
  root=$folder/mnt/root
  # Copied: a lower folder of the overlay must not lie beneath another one, here /.
  cp -a "$folder/files/." "$folder/mnt/upper/"
  mount -t overlay -o "lowerdir=/,upperdir=$folder/mnt/upper,workdir=$folder/mnt/work" box "$root"
  mount_kernel_file_systems
  make_devices
  mount -t tmpfs -o nosuid,nodev,mode=755 tmpfs "$root/run"
  mount -t tmpfs -o nosuid,nodev,mode=1777 tmpfs "$root/tmp"
  for each; do
    mkdir -p "$root$each"
    mount --rbind "$each" "$root$each"
  done
  write_configuration
  hostname box
  mkdir "$root/run/host-root"
  cd "$root"
  pivot_root . run/host-root
  umount -l /run/host-root
  rmdir /run/host-root
  ulimit -n "$(ulimit -Hn)"
  # `container`: it leaves the kernel's settings alone.
  exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin container=box TERM=dumb \
    /lib/systemd/systemd --system --unit=box.target --show-status=no
}

case $1 in
  keep | boot) "$@" ;;
  *) exit 64 ;;
esac
