#!/bin/bash
# Gives the topic of ticks the settings of the stack's parameter. Creates the topic if it does not
# exist yet. A timer starts this every few minutes, to apply a changed parameter. Needs kafka.env.
set -euo pipefail
wanted=$(aws ssm get-parameter --region "$AWS_REGION" --name "/$STACK/kafka-topic" --query Parameter.Value --output text)
applied=$STATE_DIRECTORY/applied
if [[ -e $applied && $wanted == "$(< "$applied")" ]]; then
  exit
fi
settings=$(python3 -c 'import json, sys
topic = json.loads(sys.argv[1])
print(topic["name"], topic["partitions"], topic["retention_hours"])' "$wanted")
read -r topic partitions hours <<< "$settings"
copies=$NODES
insync=$((NODES == 1 ? 1 : 2))
# The broker's clock stamps the records, so no new record is of an hour that has ended. A record
# can still land late, if the consumers were down. A topic of an earlier version stamps its records
# in this way from now on.
stamps=message.timestamp.type=LogAppendTime
kafka() { java -Xmx128m -XX:TieredStopAtLevel=1 -cp '/opt/ticklake/lib/*' "$@"; }
topics() { kafka org.apache.kafka.tools.TopicCommand --bootstrap-server "$BOOTSTRAP" --topic "$topic" "$@"; }
topics --create --if-not-exists --partitions "$partitions" --replication-factor "$copies" \
  --config "min.insync.replicas=$insync" --config "$stamps"
existing=$(topics --describe | sed -n 's/.*PartitionCount: *\([0-9]*\).*/\1/p')
if ((existing < partitions)); then
  topics --alter --partitions "$partitions"
elif ((existing > partitions)); then
  echo "topic $topic keeps its $existing partitions: Kafka takes none away, and TopicPartitions is $partitions"
fi
kafka kafka.admin.ConfigCommand --bootstrap-server "$BOOTSTRAP" --alter --entity-type topics --entity-name "$topic" \
  --add-config "retention.ms=$((hours * 3600 * 1000)),$stamps"
echo "$wanted" > "$applied"
