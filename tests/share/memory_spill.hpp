// A spill target in memory that counts what it is asked, and can be told to fail.
#ifndef COTENANT_TESTS_SHARE_MEMORY_SPILL_HPP
#define COTENANT_TESTS_SHARE_MEMORY_SPILL_HPP
#include <atomic>
#include <cstddef>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cotenant/core/error.hpp"
#include "cotenant/share/spill.hpp"

namespace share_tests {

class MemorySpill final : public cotenant::SpillTarget {
 public:
  void save(const std::string& key, const void* data, std::size_t bytes, const cotenant::SpillInfo& info) override {
    if (full) cotenant::raise<cotenant::IoError>("the disk is full");
    const auto* from = static_cast<const char*>(data);
    std::vector<char> copy(from, from + bytes);
    const std::lock_guard lock(mutex);
    if (!kept.emplace(key, std::move(copy)).second) ++wrong;
    last = info;
    ++saves;
  }
  void load(const std::string& key, void* data, std::size_t bytes) override {
    if (broken) cotenant::raise<cotenant::IoError>("cannot read it");
    const std::lock_guard lock(mutex);
    const auto found = kept.find(key);
    if (found == kept.end() || found->second.size() != bytes) {
      ++wrong;
      return;
    }
    std::memcpy(data, found->second.data(), bytes);
    ++loads;
  }
  void erase(const std::string& key) noexcept override {
    const std::lock_guard lock(mutex);
    wrong += kept.erase(key) != 1;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex);
    return kept.size();
  }

  std::atomic<bool> full{false}, broken{false};
  std::atomic<std::size_t> saves{0}, loads{0}, wrong{0};
  cotenant::SpillInfo last;

 private:
  mutable std::mutex mutex;
  std::map<std::string, std::vector<char>> kept;
};

}  // namespace share_tests

#endif
