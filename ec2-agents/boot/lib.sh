# shellcheck shell=bash
# The common part of every boot: keeps a log, reports the result to CloudFormation, and puts the
# reason of a failure into the log group of failed boots. Needs AWS_REGION, STACK, RESOURCE and
# LOG_GROUP from the user data.

# The metadata service of the instance. The SDKs and the CLI read the same variable.
IMDS=${AWS_EC2_METADATA_SERVICE_ENDPOINT:-http://169.254.169.254}
IMDS=${IMDS%/}
BOOT_LOG=/var/log/ticklake/boot.log
# This log group is not the stack's, as a rollback deletes the stack's own log groups.
FAILED_BOOTS=/$STACK/failed-boots

say() { echo "$(date --utc +%FT%TZ) $*"; }

# Returns a fact of this instance, such as instance-id (IMDSv2).
metadata() {
  local token
  token=$(curl --fail --silent --show-error --retry 5 -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' "$IMDS/latest/api/token")
  curl --fail --silent --show-error --retry 5 -H "X-aws-ec2-metadata-token: $token" "$IMDS/latest/meta-data/$1"
}

begin() {
  mkdir -p "$(dirname "$BOOT_LOG")" /etc/ticklake
  exec > >(tee -a "$BOOT_LOG") 2>&1
  # The report of a failure needs a name, also if the request for the instance id fails.
  INSTANCE=$(hostname)
  trap 'failed "line $LINENO: $BASH_COMMAND"' ERR
  INSTANCE=$(metadata instance-id)
  say "booting $INSTANCE as $RESOURCE of stack $STACK"
}

# Puts the end of the boot's log into the log group of failed boots, then fails the deployment.
# Uses the CLI alone, so that it works after any other failure.
failed() {
  trap - ERR
  say "boot failed: $1"
  # tee writes it a moment later.
  for _ in $(seq 50); do
    if tail -n 1 "$BOOT_LOG" | grep --quiet --fixed-strings "boot failed: $1"; then
      break
    fi
    sleep 0.1
  done
  local events
  events=$(tail -n 60 "$BOOT_LOG" | python3 -c '
import json, sys, time
print(json.dumps([{"timestamp": int(time.time() * 1000), "message": line.rstrip("\n") or " "} for line in sys.stdin]))')
  # In most cases another boot has created it.
  aws logs create-log-group --log-group-name "$FAILED_BOOTS" || true
  aws logs create-log-stream --log-group-name "$FAILED_BOOTS" --log-stream-name "$INSTANCE" || true
  aws logs put-log-events --log-group-name "$FAILED_BOOTS" --log-stream-name "$INSTANCE" --log-events "$events" > /dev/null || true
  signal false
  exit 1
}

# Reports the result of the boot to CloudFormation: signal true|false. SignalResource takes no
# reason; cfn-signal's --reason is only for wait conditions.
signal() {
  local answer attempt
  for attempt in 1 2 3 4 5; do
    if answer=$(/opt/aws/bin/cfn-signal --success "$1" --id "$INSTANCE" --stack "$STACK" --resource "$RESOURCE" --region "$AWS_REGION" 2>&1); then
      return
    fi
    # A group also launches instances outside deployments.
    if [[ $answer == *"cannot be signaled"* ]]; then
      say "no deployment waits for this instance"
      return
    fi
    say "cfn-signal failed, attempt $attempt of 5: $answer"
    sleep 5
  done
}

# Installs packages: packages NAME… Tries again, as a repository sometimes fails for a moment.
packages() {
  local attempt
  for attempt in 1 2 3 4 5; do
    if dnf install --assumeyes --quiet "$@"; then
      return
    fi
    say "dnf failed, attempt $attempt of 5"
    sleep $((attempt * 5))
  done
  failed "dnf cannot install $*"
}

# Fills the placeholders of a file: fill FROM TO
fill() {
  sed -e "s|@LOG_GROUP@|$LOG_GROUP|g; s|@STACK@|$STACK|g; s|@NODE@|${NODE:-}|g" "$1" > "$2"
}

# Starts the CloudWatch agent, which sends logs and metrics, with a configuration of the layer.
watch() {
  fill "$1" /etc/ticklake/cloudwatch.json
  /opt/aws/amazon-cloudwatch-agent/bin/amazon-cloudwatch-agent-ctl -a fetch-config -m ec2 -s -c file:/etc/ticklake/cloudwatch.json
}

# Waits until a unit is active: wait_for UNIT SECONDS
wait_for() {
  local deadline=$((SECONDS + $2))
  until systemctl is-active --quiet "$1"; do
    if ((SECONDS >= deadline)); then
      journalctl --unit "$1" --lines 20 --no-pager || true
      tail -n 20 "/var/log/ticklake/${1%.service}.log" || true
      failed "$1 is not ready after $2 s"
    fi
    sleep 1
  done
}
