// What a TensorStore is told: how large it may become, how durable a commit is; and what commits and sweeps answer.
#ifndef COTENANT_FILES_STORE_OPTIONS_HPP
#define COTENANT_FILES_STORE_OPTIONS_HPP
#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace cotenant {

// What a commit does that would make the files take more than StoreOptions::max_bytes.
enum class WhenFull {
  refuse,        // BudgetExceeded; nothing changes
  sweep_oldest,  // removes the files that were used longest ago, until it fits; BudgetExceeded where it fits not even alone
};

struct StoreOptions {
  static constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

  // What the files of tensors may take together, as every process that writes says for itself.
  std::size_t max_bytes = unlimited;
  WhenFull when_full = WhenFull::refuse;
  // What sweep() removes.
  std::chrono::seconds unused_for = std::chrono::hours(7 * 24);
  // False: a commit is complete or absent after a crash of the process, but a power failure may damage it. For what
  // is only moved out of memory while the program runs; saves four waits for the disk per commit.
  bool durable = true;
  // False: load() believes that the disk gives back what was written, and reads nothing before it is used.
  bool verify = true;
  // The time of last use; the system's clock where empty. Called from any thread; must not throw.
  std::function<std::chrono::system_clock::time_point()> clock = {};

  std::chrono::system_clock::time_point now() const { return clock ? clock() : std::chrono::system_clock::now(); }
};

struct CommitResult {
  std::size_t tensors = 0;         // stored by this commit
  std::size_t bytes = 0;           // of the file that it wrote
  std::vector<std::string> swept;  // names that had to make room: WhenFull::sweep_oldest
};

struct SweepResult {
  std::vector<std::string> removed;
  std::size_t freed_bytes = 0;  // of files, those that a dead process left included
};

struct CompactResult {
  std::size_t files = 0;  // that were written anew
  std::size_t freed_bytes = 0;
};

struct RebuildResult {
  bool rebuilt = false;     // false: the manifest is good, and nothing was done
  std::size_t tensors = 0;  // that were found intact
  // Each with what is wrong: tensors in files that are good otherwise, and files that do not even say what they hold.
  std::map<std::string, std::string> damaged_tensors, damaged_files;
};

}  // namespace cotenant

#endif
