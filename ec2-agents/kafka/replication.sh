#!/bin/bash
# Reports the number of under-replicated partitions to CloudWatch. Needs kafka.env.
set -euo pipefail
behind=$(timeout 60 java -Xmx128m -XX:TieredStopAtLevel=1 -cp '/opt/ticklake/lib/*' org.apache.kafka.tools.TopicCommand \
  --bootstrap-server "$BOOTSTRAP" --describe --under-replicated-partitions)
aws cloudwatch put-metric-data --region "$AWS_REGION" --namespace ticklake --metric-name UnderReplicatedPartitions \
  --dimensions "stack=$STACK" --value "$(grep --count Partition: <<< "$behind" || true)"
