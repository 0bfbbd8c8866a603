// What a TensorSharingManager is told: its budget, its clock, and how a tensor enters it; and the units to say it in.
#ifndef COTENANT_SHARE_OPTIONS_HPP
#define COTENANT_SHARE_OPTIONS_HPP
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cotenant/core/shape.hpp"
#include "cotenant/share/spill.hpp"

namespace cotenant {

struct Event;

// 512_KiB, 64_MiB, 2_GiB: sizes in bytes.
inline namespace literals {
constexpr std::size_t operator""_KiB(unsigned long long count) {
  return checked_multiply(static_cast<std::size_t>(count), std::size_t{1} << 10, "a size in KiB");
}
constexpr std::size_t operator""_MiB(unsigned long long count) {
  return checked_multiply(static_cast<std::size_t>(count), std::size_t{1} << 20, "a size in MiB");
}
constexpr std::size_t operator""_GiB(unsigned long long count) {
  return checked_multiply(static_cast<std::size_t>(count), std::size_t{1} << 30, "a size in GiB");
}
}  // namespace literals

using TimePoint = std::chrono::steady_clock::time_point;

// What a manager gives up first when memory is short, and how much optimize_memory() takes.
enum class MemoryMode {
  // Reading and computing again cost most: what can come back is sent away only when it has not been used for the grace
  // period, artefacts such as packed weights go last, and recycled heap memory is kept for the next allocation.
  speed,
  // What nobody leases and no fresh grant waits for goes; recycled heap memory is given back. For room, unused artefacts go before tensors.
  balanced,
  // Everything that is not in use at this moment goes: also what fresh grants wait for, where it can come back, and unused artefacts.
  memory,
};

struct ManagerOptions {
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  // Bytes that the registered blocks may take together, each block counted once, and what is kept with them, such as packed weights:
  // where there is no room for those, kernels work without.
  std::size_t max_memory = unlimited;
  // How long a grant without a lease keeps a tensor: from the last release, or from the registration or the grant
  // where that was later.
  std::chrono::steady_clock::duration grace_period = std::chrono::seconds(30);
  // The time; the system's monotonic clock where empty. Called from any thread, never under a lock; must not throw.
  std::function<TimePoint()> clock = {};
  // Keeps the last timeline_events changes of who holds what, for report_html() and timeline().
  bool record_timeline = false;
  std::size_t timeline_events = 4096;

  // A budget for one kind of storage by its name ("heap", "mapped"), within max_memory.
  std::map<std::string, std::size_t> max_memory_of = {};
  // Where tensors go whose memory is needed and that nobody leases; the next lease brings them back. Null: such
  // tensors are freed for good once no grant waits for them. Tensors on files come back from their files either way.
  std::shared_ptr<SpillTarget> spill = nullptr;
  MemoryMode mode = MemoryMode::balanced;
  // How often a thread of the manager's calls optimize_memory() by itself; 0: never, and there is no thread.
  std::chrono::steady_clock::duration sweep_interval = {};
  // A tensor of at least deduplicate_from bytes whose elements equal those of a registered one in element type, shape,
  // storage and every byte takes that one's place in memory. Below 64 KiB there is little
  // to win. find_duplicates() leaves out what is smaller, too.
  bool deduplicate = true;
  std::size_t deduplicate_from = std::size_t{64} << 10;
  // Keeps the last event_capacity events: events(), chrome_trace(). on_event hears of each after it has happened, from the
  // thread that did it and outside of every lock; it may call the manager and must not throw.
  bool record_events = false;
  std::size_t event_capacity = 8192;
  std::function<void(const Event&)> on_event = {};
};

struct TensorOptions {
  // The model that computed the tensor; it holds the first lease. Empty: nobody does.
  std::string producer = {};
  // Models that get a grant: they may use the tensor, and it waits for them for the grace period.
  std::vector<std::string> consumers = {};
  // A pinned tensor is never freed.
  bool pinned = false;
  // How dear the tensor is when room is needed: one of priority 2 goes as late as one that costs twice as much to bring back.
  double priority = 1;
};

// What became of share(), for all consumers or for one.
enum class ShareStatus {
  success,       // it may use the tensor as it is
  adapted,       // it may use it in its own form, which get() gives it
  incompatible,  // there is no form that it could use, so it has no grant
  not_found,     // no tensor of that name
  not_allowed,   // the tensor has another producer, and the model that shares it does not hold it
  invalid_name,  // the tensor, the producer or a consumer has an empty name
};

constexpr const char* to_string(ShareStatus status) {
  switch (status) {
    case ShareStatus::success: return "success";
    case ShareStatus::adapted: return "adapted";
    case ShareStatus::incompatible: return "incompatible";
    case ShareStatus::not_found: return "not_found";
    case ShareStatus::not_allowed: return "not_allowed";
    case ShareStatus::invalid_name: return "invalid_name";
  }
  return "unknown";
}

// What became of it for one consumer.
struct ConsumerShare {
  ShareStatus status = ShareStatus::success;
  std::string how = {};   // "768 → 384 wide by slice, f32 → f16"; of an incompatible one: why
  std::size_t bytes = 0;  // what its form will take when it is first asked for: 0 for a view, and where it is there already
};

struct ShareResult {
  // The worst of the consumers': incompatible, adapted or success.
  ShareStatus status = ShareStatus::success;
  // Consumers that had no grant before.
  std::size_t granted = 0;
  std::map<std::string, ConsumerShare> consumers = {};
  // Whether every consumer may use the tensor.
  explicit operator bool() const { return status == ShareStatus::success || status == ShareStatus::adapted; }
  friend bool operator==(const ShareResult& result, ShareStatus other) { return result.status == other; }
};

// "1.5 MiB", "640 B"
inline std::string format_bytes(std::size_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  const char* const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && unit + 1 < std::size(units)) {
    value /= 1024;
    ++unit;
  }
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, units[unit]);
  return text;
}

}  // namespace cotenant

#endif
