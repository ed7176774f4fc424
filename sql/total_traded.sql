-- Total traded over the last ten minutes of event time (UTC).
--
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
SELECT count(*) AS ticks,
       round(coalesce(sum(volume), 0), 2) AS volume,
       round(coalesce(sum(price * volume), 0), 2) AS turnover
FROM ticks
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '70' minute AS varchar), 1, 10)
  AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '70' minute AS varchar), 1, 13)
  AND event_time > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '10' minute
  AND event_time <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
