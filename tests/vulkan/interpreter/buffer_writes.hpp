// BufferWrites: what a dispatch writes to buffers: each byte by one invocation, and the same in whatever order they run.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_BUFFER_WRITES_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_BUFFER_WRITES_HPP
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "program.hpp"

namespace cotenant::test::interpreter {

class BufferWrites {
 public:
  struct By {
    std::uint64_t workgroup = 0;
    std::uint32_t invocation = 0;
    bool operator==(const By& other) const { return workgroup == other.workgroup && invocation == other.invocation; }
    std::string text() const { return "workgroup " + std::to_string(workgroup) + " invocation " + std::to_string(invocation); }
  };
  // Whoever writes atomically: these do not disturb each other.
  static By atomic() { return {~std::uint64_t{0}, ~std::uint32_t{0}}; }
  // Another dispatch begins, which can be undone if it `keeps` what was there before.
  void begin(bool keeps) {
    ++dispatch_, keeps_ = keeps;
    log_.clear();
    if (pages_.size() > kept_pages) pages_.clear(), last_ = nullptr, last_number_ = ~std::uintptr_t{0};
  }
  // Two invocations may write the same value to one place; of different values any may stay.
  void write(std::byte* to, const std::byte* from, std::size_t bytes, const By& by) {
    for (std::size_t i = 0; i < bytes; ++i) {
      Written& at = find(to + i);
      if (to[i] != from[i] && at.dispatch == dispatch_ && !(at.by == by))
        fault("a race: byte " + std::to_string(i) + " of a store is written by " + by.text() + " and was written otherwise by " + at.by.text());
      at = {by, dispatch_};
    }
    if (keeps_) {
      Entry& entry = log_.emplace_back(Entry{to, bytes, {}});
      std::memcpy(entry.before.data(), to, bytes);
    }
    std::memcpy(to, from, bytes);
  }

  // Every byte that was written, and what it is now; by address.
  using Result = std::vector<std::pair<const std::byte*, std::byte>>;
  Result result() const {
    Result all;
    for (const Entry& entry : log_) for (std::size_t i = 0; i < entry.bytes; ++i) all.emplace_back(entry.to + i, entry.to[i]);
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }
  void undo() {
    for (auto entry = log_.rbegin(); entry != log_.rend(); ++entry) std::memcpy(entry->to, entry->before.data(), entry->bytes);
  }

 private:
  struct Written {
    By by;
    std::uint64_t dispatch = 0;
  };
  struct Entry {
    std::byte* to;
    std::size_t bytes;
    std::array<std::byte, 64> before;
  };
  static constexpr std::size_t page = 1024, kept_pages = 4096;  // bytes; 128 MiB of records
  Written& find(const std::byte* byte) {
    const auto address = reinterpret_cast<std::uintptr_t>(byte);
    if (address / page != last_number_) {
      auto& records = pages_[last_number_ = address / page];
      if (!records) records = std::make_unique<Written[]>(page);
      last_ = records.get();
    }
    return last_[address % page];
  }

  std::unordered_map<std::uintptr_t, std::unique_ptr<Written[]>> pages_;
  std::uintptr_t last_number_ = ~std::uintptr_t{0};
  Written* last_ = nullptr;
  std::uint64_t dispatch_ = 0;
  bool keeps_ = false;
  std::vector<Entry> log_;
};

}  // namespace cotenant::test::interpreter

#endif
