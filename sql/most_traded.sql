-- The ten symbols with the highest traded volume over the last 24 hours of event time (UTC).
--
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
SELECT symbol,
       round(sum(volume), 2) AS volume,
       round(sum(price * volume), 2) AS turnover,
       count(*) AS ticks
FROM ticks
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)
  AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 13)
  AND event_time > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '24' hour
  AND event_time <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
  AND volume IS NOT NULL
GROUP BY symbol
ORDER BY volume DESC, symbol
LIMIT 10
