#!/bin/bash
# Creates the topic of ticks where it does not exist yet, and gives it the retention that the stack wants. Wants kafka.env.
set -euo pipefail
copies=$NODES
insync=$((NODES == 1 ? 1 : 2))
kafka() { java -Xmx128m -XX:TieredStopAtLevel=1 -cp '/opt/ticklake/lib/*' "$@"; }
kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$BOOTSTRAP" --create --if-not-exists --topic "$TOPIC" \
  --partitions "$PARTITIONS" --replication-factor "$copies" --config "min.insync.replicas=$insync"
kafka kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" --alter --entity-type topics --entity-name "$TOPIC" \
  --add-config "retention.ms=$((RETENTION_HOURS * 3600 * 1000))"
