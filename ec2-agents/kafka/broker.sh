#!/bin/bash
# Boots a broker of the stack's own Kafka on Amazon Linux 2023. Attaches its volume and its network
# interface, to whose address its name points, then runs as broker and controller. Needs NODE,
# NODES, STACK_ID, DOMAIN, INTERFACE, VOLUME and the variables of lib.sh.
set -Eeuo pipefail
cd "$(dirname "$0")"
# shellcheck source=lib.sh
. ./lib.sh
DATA=/var/lib/kafka
begin

packages amazon-cloudwatch-agent logrotate java-21-amazon-corretto-headless xfsprogs
install --mode 0644 logrotate.conf /etc/logrotate.d/ticklake
install --mode 0644 ../systemd/* /etc/systemd/system/
getent passwd kafka > /dev/null || useradd --system --home-dir "$DATA" --shell /sbin/nologin kafka

# Interface and volume outlive instances. Waits until the instance before this one has released
# them: available ID COMMAND-THAT-PRINTS-THE-STATE…
available() {
  local id=$1 state
  shift
  for _ in $(seq 60); do
    state=$("$@" --output text)
    if [[ $state == available ]]; then
      return
    fi
    say "$id is $state, waiting"
    sleep 5
  done
  failed "$id does not become available"
}

# Tries a command until it succeeds: patiently SECONDS WHAT-IS-WRONG COMMAND…
patiently() {
  local deadline=$((SECONDS + $1)) wrong=$2
  shift 2
  until "$@"; do
    if ((SECONDS >= deadline)); then
      tail -n 20 /var/log/ticklake/kafka.log || true
      failed "$wrong"
    fi
    say "$wrong, waiting"
    sleep 5
  done
}

interface() { aws ec2 describe-network-interfaces --network-interface-ids "$INTERFACE" --query "NetworkInterfaces[0].$1" "${@:2}"; }
address=$(interface PrivateIpAddress --output text)
is_set_up() { [[ " $(hostname --all-ip-addresses) " == *" $address "* ]]; }
if ! is_set_up; then
  available "$INTERFACE" interface Status
  aws ec2 attach-network-interface --network-interface-id "$INTERFACE" --instance-id "$INSTANCE" --device-index 1 > /dev/null
  # When an interface appears, Amazon Linux gives it its address and its own route.
  patiently 120 "$INTERFACE has no address yet" is_set_up
fi
say "kafka-$NODE.$DOMAIN is $address"

# On Nitro instances the volume is an NVMe device, and the volume's id is its serial.
device() {
  local path
  for _ in $(seq 60); do
    for path in "/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_${VOLUME/-/}" /dev/sdf; do
      if [[ -b $path ]]; then
        readlink --canonicalize "$path"
        return
      fi
    done
    sleep 1
  done
  return 1
}

mkdir -p "$DATA"
if ! mountpoint --quiet "$DATA"; then
  available "$VOLUME" aws ec2 describe-volumes --volume-ids "$VOLUME" --query 'Volumes[0].State'
  aws ec2 attach-volume --volume-id "$VOLUME" --instance-id "$INSTANCE" --device /dev/sdf > /dev/null
  device=$(device) || failed "$VOLUME is attached, and no device appears"
  # Formats only a volume without a file system, so data are never lost.
  if ! blkid "$device" > /dev/null; then
    mkfs.xfs -q "$device"
    udevadm trigger --settle "$device"
  fi
  # A unit, which kafka.service requires, so that a reboot also mounts the volume.
  cat > /etc/systemd/system/var-lib-kafka.mount << MOUNT
[Unit]
Description=Data of the broker

[Mount]
What=/dev/disk/by-uuid/$(blkid --match-tag UUID --output value "$device")
Where=$DATA
Type=xfs
Options=noatime
MOUNT
  systemctl daemon-reload
  systemctl start var-lib-kafka.mount
fi
mkdir -p "$DATA/log"
chown -R kafka:kafka "$DATA"

voters=""
bootstrap=""
for node in $(seq "$NODES"); do
  voters+="${voters:+,}$node@kafka-$node.$DOMAIN:9093"
  bootstrap+="${bootstrap:+,}kafka-$node.$DOMAIN:9092"
done
copies=$NODES
insync=$((NODES == 1 ? 1 : 2))
# The heap gets a quarter of the memory; the rest is for the page cache.
heap=$(awk '/MemTotal/ { printf "%dm", $2 / 4096 }' /proc/meminfo)
cat > /etc/ticklake/kafka.properties << PROPERTIES
process.roles=broker,controller
node.id=$NODE
controller.quorum.voters=$voters
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
advertised.listeners=PLAINTEXT://kafka-$NODE.$DOMAIN:9092
controller.listener.names=CONTROLLER
log.dirs=$DATA/log
auto.create.topics.enable=false
default.replication.factor=$copies
min.insync.replicas=$insync
offsets.topic.replication.factor=$copies
transaction.state.log.replication.factor=$copies
transaction.state.log.min.isr=$insync
# A broker that is behind never leads, so acknowledged records stay.
unclean.leader.election.enable=false
PROPERTIES
cat > /etc/ticklake/kafka.env << ENVIRONMENT
AWS_REGION=$AWS_REGION
STACK=$STACK
HEAP=$heap
BOOTSTRAP=$bootstrap
NODES=$NODES
ENVIRONMENT

kafka() { timeout 120 java -Xmx256m -XX:TieredStopAtLevel=1 -cp '/opt/ticklake/lib/*' "$@"; }

# The cluster id comes from the stack's id, so it is the same on every broker of a new stack. A
# volume that was made from a snapshot keeps the id of its old cluster.
cluster=$(printf %s "$STACK_ID" | python3 -c 'import base64, hashlib, sys
print(base64.urlsafe_b64encode(hashlib.sha256(sys.stdin.buffer.read()).digest()[:16]).decode().rstrip("="))')
# Whether the volume is new to this stack. One that was made from a snapshot has data, too. The
# cluster id shows it for volumes without the file, which earlier versions did not write.
is_new=true
if grep --quiet --no-messages --line-regexp --fixed-strings "$STACK_ID" "$DATA/stack" ||
  grep --quiet --no-messages --line-regexp --fixed-strings "cluster.id=$cluster" "$DATA/log/meta.properties"; then
  is_new=false
fi
if [[ ! -e $DATA/log/meta.properties ]]; then
  kafka kafka.tools.StorageTool format --cluster-id "$cluster" --config /etc/ticklake/kafka.properties
  chown -R kafka:kafka "$DATA"
fi
echo "$STACK_ID" > "$DATA/stack"

watch kafka.cloudwatch.json
systemctl daemon-reload
systemctl enable --quiet kafka.service
systemctl start kafka.service

# A listing of topics is a metadata request.
answers() { kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "kafka-$NODE.$DOMAIN:9092" --list > /dev/null; }
if [[ $is_new == true && $NODE == 1 && $NODES -gt 1 ]]; then
  # The first of three has no quorum to answer it until the second one runs.
  sleep 5
  wait_for kafka.service 60
else
  patiently 300 "broker $NODE answers no metadata request" answers
fi
if [[ $NODE == 1 ]]; then
  systemctl enable --quiet --now ticklake-topic.timer
fi
if [[ $NODES -gt 1 ]]; then
  systemctl enable --quiet --now ticklake-replication.timer
fi

# Waits until a restarted broker has caught up. An update replaces the next one only after that.
if [[ $is_new == false ]]; then
  caught_up() {
    local behind
    behind=$(kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$bootstrap" --describe --under-replicated-partitions) && [[ -z $behind ]]
  }
  patiently 900 "partitions are under-replicated" caught_up
fi
say "broker $NODE is ready"
signal true
