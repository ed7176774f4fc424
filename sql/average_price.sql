-- Average price and tick count by symbol over the last hour of event time (UTC).
--
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
SELECT symbol,
       round(avg(price), 2) AS avg_price,
       count(*) AS ticks
FROM ticks
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '2' hour AS varchar), 1, 10)
  AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '2' hour AS varchar), 1, 13)
  AND event_time > CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '1' hour
  AND event_time <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
GROUP BY symbol
ORDER BY symbol
