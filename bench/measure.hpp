// The method of every benchmark here: the calls of one row taken turn by turn, medians, and one line of JSON per row.
#ifndef COTENANT_BENCH_MEASURE_HPP
#define COTENANT_BENCH_MEASURE_HPP
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/own_threads.hpp"
#include "bench/peers/peer.hpp"
#include "cotenant/core/json_writer.hpp"

namespace bench {

inline double wall_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Seconds of this thread's own CPU time where the system counts it: other programs then disturb less.
inline double thread_seconds() {
#ifdef CLOCK_THREAD_CPUTIME_ID
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
#else
  return wall_seconds();
#endif
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Options {
  std::vector<std::size_t> threads{1, 2};
  int rounds = 21;
  double batch = 0.01;   // seconds of one turn: calls shorter than this are repeated
  double patience = 20;  // seconds after which a row makes do with three rounds
  bool smoke = false;    // one call of everything, no peers
  std::string only;      // comma-separated sections; empty is all

  bool wants(const std::string& section) const { return only.empty() || ("," + only + ",").find("," + section + ",") != std::string::npos; }
};

// --threads 1,2  --quick  --smoke  --only a,b
inline Options read_options(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    if (argument == "--quick") options.rounds = 5, options.batch = 0.0015, options.patience = 1;
    else if (argument == "--smoke") options.rounds = 1, options.batch = 0, options.smoke = true, options.threads = {1};
    else if (argument == "--only" && i + 1 < count) options.only = arguments[++i];
    else if (argument == "--threads" && i + 1 < count) {
      options.threads.clear();
      for (const char* at = arguments[++i]; *at != '\0'; at += *at == ',') {
        char* end = nullptr;
        const unsigned long threads = std::strtoul(at, &end, 10);
        if (end == at || threads == 0) { std::fprintf(stderr, "--threads takes numbers like 1,2, not '%s'\n", arguments[i]); std::exit(2); }
        options.threads.push_back(threads);
        at = end;
      }
    } else {
      std::fprintf(stderr, "usage: %s [--threads 1,2] [--quick] [--smoke] [--only section,...]\n", arguments[0]);
      std::exit(argument == "--help" ? 0 : 2);
    }
  }
  return options;
}

// What one row is about, and what it is to reach. 0 where a target has no such part.
struct Row {
  std::string section;      // "matmul", "softmax", …: what --only selects
  std::string shape;
  double work = 0;          // of one call, in `unit` without its "G" and "/s"
  const char* unit = "GFLOP/s";
  const char* bound = "";   // which measured rate of the machine limits it: f32, vnni, bf16, read, copy; empty: none
  double bound_work = 0;    // of one call in the bound's unit, where that is not `work` (bytes)
  double target_ratio = 0;  // to the best peer
  double target_share = 0;  // of the bound
  bool either = false;      // one of both is enough
  std::vector<std::string> target_peers = {};  // whom target_ratio is about; empty: all
  std::string note = {};
  double limit = 0;         // seconds that ours may take at most
  int calls = 1;            // what is measured in one call of a contestant
};

// One contestant. The first of a row is ours.
struct Call {
  std::string name;
  std::function<void()> run;
  std::function<double()> error = {};  // after timing: how far its result is from ours, relative to the largest value
  double tolerance = 1e-4;
  double settle = 0.002;               // seconds until its own idle threads stop spinning, with several threads
};

// All threads of everybody, ours included.
class Threads {
 public:
  void set(std::size_t threads) {
    if (threads == current_) return;
    current_ = threads;
    peers::set_threads(static_cast<int>(threads));
    own_.set(threads);
  }
  // Ours alone: the others' idle threads stay asleep.
  void set_own(std::size_t threads) {
    own_.set(threads);
    current_ = 0;
  }

 private:
  std::size_t current_ = 0;
  OwnThreads own_;
};

class Bench {
 public:
  explicit Bench(Options given) : options(std::move(given)) {}
  ~Bench() {
    if (failures_ > 0) std::fprintf(stderr, "%d results of peers differ from ours\n", failures_);
  }
  const Options options;
  int failures() const { return failures_; }

  // Measures the calls that make() returns and writes a row, at every number of threads. Made anew for each: oneDNN's primitives
  // keep the number of threads that there were when they were created.
  template <class Make> void row(const Row& about, const Make& make) {
    if (!options.wants(about.section)) return;
    for (const std::size_t threads : options.threads) {
      threads_.set(threads);
      std::vector<Call> calls = make();
      if (options.smoke) calls.resize(1);
      write(about, threads, calls, measure(calls, threads));
    }
  }

  // What is no time: a figure of each contestant, the smaller the better.
  void figures(const Row& about, const std::vector<std::pair<std::string, double>>& each) {
    std::vector<Call> calls;
    std::vector<double> values;
    for (const auto& [name, value] : each) calls.push_back({name, {}}), values.push_back(value);
    write(about, 1, calls, values);
  }

  // Ours on several threads beside one, both in wall time, for the rows of scaling.
  void scaling(const Row& about, const Call& call) {
    if (!options.wants(about.section) || options.smoke) return;
    for (const std::size_t threads : options.threads) {
      if (threads == 1) continue;
      std::vector<Call> calls{call, call};
      calls[1].name = "cotenant, 1 thread";
      Row adjusted = about;
      if (about.target_ratio > 0) adjusted.target_ratio = 0.95 * static_cast<double>(threads);  // 1.9 of two
      write(adjusted, threads, {call, calls[1]}, measure(calls, threads, {threads, 1}));
    }
  }

 private:
  std::vector<double> measure(const std::vector<Call>& calls, std::size_t threads, const std::vector<std::size_t>& each = {}) {
    const auto now = [&] { return threads == 1 ? thread_seconds() : wall_seconds(); };
    const double begin_of_row = wall_seconds();
    std::vector<int> repeats(calls.size(), 1);
    std::vector<std::vector<double>> times(calls.size());
    for (int round = -1; round < options.rounds; ++round) {  // round -1 warms up and counts
      if (round >= 3 && wall_seconds() - begin_of_row > options.patience) break;
      for (std::size_t i = 0; i < calls.size(); ++i) {
        if (!each.empty()) threads_.set_own(each[i]);
        // OpenBLAS's threads ask for their next work for some 26 ms (2^26 cycles) before they sleep: ours would share a core with them.
        else if (threads > 1 && i == 0 && !options.smoke) std::this_thread::sleep_for(std::chrono::milliseconds(30));
        // Untimed: brings back what the others pushed out of the caches, and threads that sleep. A long call does that in passing.
        if (round < 0 || repeats[i] > 1) {
          const double warm = wall_seconds();
          do calls[i].run();
          while (threads > 1 && !options.smoke && wall_seconds() - warm < std::max(0.010, options.batch));
        }
        const double begin = now();
        for (int repeat = 0; repeat < repeats[i]; ++repeat) calls[i].run();
        double seconds = (now() - begin) / repeats[i];
        if (round < 0) {
          for (int attempt = 0; attempt < 2 && seconds < options.batch; ++attempt) {  // the first calls of a kernel are slow
            const double again = now();
            calls[i].run();
            seconds = std::min(seconds, now() - again);
          }
          repeats[i] = std::max(1, std::min(100'000, static_cast<int>(options.batch / (seconds + 1e-9))));
        } else {
          times[i].push_back(seconds);
        }
        if (threads > 1 && calls.size() > 1) std::this_thread::sleep_for(std::chrono::duration<double>(calls[i].settle));
      }
    }
    std::vector<double> result;
    for (auto& one : times) result.push_back(median(one));
    return result;
  }

  void write(const Row& about, std::size_t threads, const std::vector<Call>& calls, const std::vector<double>& seconds) {
    std::string peers;
    cotenant::JsonWriter json;
    json.begin_object().member("section", about.section).member("shape", about.shape).member("threads", threads);
    json.member("work", about.work).member("unit", about.unit).member("bound", about.bound);
    json.member("bound_work", about.bound_work > 0 ? about.bound_work : about.work);
    json.member("target_ratio", about.target_ratio).member("target_share", about.target_share).member("either", about.either).member("note", about.note);
    if (about.limit > 0) json.member("limit", about.limit);
    json.key("target_peers").begin_array();
    for (const std::string& name : about.target_peers) json.value(name);
    json.end_array().key("seconds").begin_object();
    for (std::size_t i = 0; i < calls.size(); ++i) json.member(calls[i].name, seconds[i] / about.calls);
    json.end_object().key("errors").begin_object();
    for (const Call& call : calls) {
      if (!call.error) continue;
      const double error = call.error();
      json.member(call.name, error);
      if (error <= call.tolerance) continue;
      ++failures_;
      std::fprintf(stderr, "%s %s: the result of %s is %.3g from ours, relative to the largest value\n", about.section.c_str(), about.shape.c_str(), call.name.c_str(), error);
    }
    json.end_object().end_object();
    std::printf("%s\n", json.take().c_str());
    std::fflush(stdout);
    std::fprintf(stderr, "%-10s %-44s %zu  ", about.section.c_str(), about.shape.c_str(), threads);
    for (std::size_t i = 0; i < calls.size(); ++i)
      std::fprintf(stderr, "%s %.4g%s", calls[i].name.c_str(), about.work > 0 ? about.work / seconds[i] * 1e-9 : seconds[i], i + 1 < calls.size() ? ", " : "\n");
  }

  Threads threads_;
  int failures_ = 0;
};

// max |peer - ours| / max |ours|.
template <class T> double difference(const T* ours, const T* peer, std::size_t count) {
  double largest = 1e-30, worst = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const double a = static_cast<double>(ours[i]), b = static_cast<double>(peer[i]);
    largest = std::max(largest, a < 0 ? -a : a);
    const double apart = a < b ? b - a : a - b;
    if (!(apart <= worst)) worst = apart == apart ? apart : 1e30;  // NaN is as wrong as can be
  }
  return worst / largest;
}

}  // namespace bench

#endif
