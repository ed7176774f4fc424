-- Bars of an hour by symbol over the last 24 hours of event time (UTC), from the curated hours.
--
-- Two rows of bars_1m can be of the same minute: open is that of the first tick, close that of the last.
-- dt and hr prune by the Kafka timestamp, from an hour before the time that is asked for: clocks differ.
SELECT date_trunc('hour', minute) AS hour,
       symbol,
       min_by(open, ROW(first_time, first_partition, first_offset)) AS open,
       max(high) AS high,
       min(low) AS low,
       max_by(close, ROW(last_time, last_partition, last_offset)) AS close,
       sum(volume) AS volume,
       sum(turnover) AS turnover,
       sum(turnover) / nullif(sum(volume), 0) AS vwap,
       sum(ticks) AS ticks
FROM bars_1m
WHERE dt >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 10)
  AND dt || ' ' || hr >= substr(CAST(CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '25' hour AS varchar), 1, 13)
  AND minute >= date_trunc('hour', CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp) - interval '24' hour)
  AND minute <= CAST(current_timestamp AT TIME ZONE 'UTC' AS timestamp)
GROUP BY date_trunc('hour', minute), symbol
ORDER BY hour DESC, symbol
