// Rows of bench/sharing: contestants timed turn by turn, medians, one line of JSON per row as bench/report.py reads them.
#ifndef COTENANT_BENCH_SHARING_ROWS_HPP
#define COTENANT_BENCH_SHARING_ROWS_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "cotenant/core/json_writer.hpp"

namespace bench_sharing {

// Hides a value from the optimizer, so that a copy is made and destroyed.
template <class T> void keep(T& value) { asm volatile("" : : "r"(&value) : "memory"); }

inline double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }
template <class F> double seconds_of(F&& f) {
  const double begin = wall_seconds();
  f();
  return wall_seconds() - begin;
}
inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Contestant {
  std::string name;
  std::function<double()> seconds;  // of one operation, measured by itself
};
// One of `operations` in a row. Long enough for the clock, short beside whatever else a machine does.
template <class F> Contestant many(std::string name, F operation, std::size_t operations = 20'000) {
  return {std::move(name), [operation, operations] {
            return seconds_of([&] { for (std::size_t i = 0; i < operations; ++i) operation(i); }) / static_cast<double>(operations);
          }};
}

struct Row {
  std::string section, shape;
  std::string unit = "ns";  // or "ms", "GB/s"; "MiB": then bytes stand where seconds do
  double work = 0;          // bytes, for a rate
  double limit = 0;         // seconds that may not be passed
  double target_ratio = 0;  // the target's peers take at least this many times as long
  std::vector<std::string> target_peers = {};
  std::string note = {};
  std::size_t threads = 1;
};

struct Setting {
  int rounds = 31;
  std::filesystem::path folder;  // for files, removed by who made it
};

// Interleaved, so that whatever else the machine does meets every contestant alike. The first turn warms up.
inline void measure(const Row& row, const Setting& setting, const std::vector<Contestant>& contestants, int rounds = 0) {
  std::vector<std::vector<double>> times(contestants.size());
  for (int round = -1; round < (rounds > 0 ? rounds : setting.rounds); ++round)
    for (std::size_t i = 0; i < contestants.size(); ++i) {
      const double seconds = contestants[i].seconds();
      if (round >= 0) times[i].push_back(seconds);
    }
  cotenant::JsonWriter json;
  json.begin_object().member("section", row.section).member("shape", row.shape).member("threads", row.threads).member("unit", row.unit).member("work", row.work);
  json.member("note", row.note).member("target_ratio", row.target_ratio);
  if (row.limit > 0) json.member("limit", row.limit);
  json.key("target_peers").begin_array();
  for (const std::string& name : row.target_peers) json.value(name);
  json.end_array().key("seconds").begin_object();
  for (std::size_t i = 0; i < contestants.size(); ++i) json.member(contestants[i].name, median(times[i]));
  json.end_object().end_object();
  std::printf("%s\n", json.take().c_str());
  std::fflush(stdout);
  std::fprintf(stderr, "%-10s %s\n", row.section.c_str(), row.shape.c_str());
}

// ---- One per file of this folder ----
void handles(const Setting& setting);
void opening(const Setting& setting);
void returning(const Setting& setting);
void attaching(const Setting& setting);
// The other process of attaching().
int attach(const char* socket);

// Folders of checkpoints that opening() makes, for attaching() and for the Python peers too.
inline std::filesystem::path checkpoint_of_90_megabytes(const Setting& setting) { return setting.folder / "90MB"; }
inline std::filesystem::path checkpoint_of_5_gigabytes(const Setting& setting) { return setting.folder / "5GB"; }

}  // namespace bench_sharing

#endif
