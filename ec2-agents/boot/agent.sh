#!/bin/bash
# Boots an agent on Amazon Linux 2023. Needs AGENT (tick-consumer or tick-producer), CONFIG (ssm:<name>) and the variables of lib.sh.
set -Eeuo pipefail
cd "$(dirname "$0")"
# shellcheck source=lib.sh
. ./lib.sh
begin

# The layer was unpacked without its files' modes.
chmod +x ../bin/*
packages amazon-cloudwatch-agent logrotate
install --mode 0644 logrotate.conf /etc/logrotate.d/ticklake
install --mode 0644 "../systemd/$AGENT.service" /etc/systemd/system/
printf 'AWS_REGION=%s\nCONFIG=%s\n' "$AWS_REGION" "$CONFIG" > "/etc/ticklake/$AGENT.env"
fill prometheus.yaml /etc/ticklake/prometheus.yaml
watch "$AGENT.cloudwatch.json"
systemctl daemon-reload
systemctl enable --quiet "$AGENT.service"
# The unit restarts until it succeeds, as Kafka may start later than this instance.
systemctl start --no-block "$AGENT.service"
wait_for "$AGENT.service" "${PATIENCE:-900}"
say "$AGENT is ready"
signal true
