// Memory that the interpreter lets a module reach: buffers within their bounds, and a workgroup's own with a record of who touched it.
#ifndef COTENANT_TESTS_VULKAN_INTERPRETER_MEMORY_HPP
#define COTENANT_TESTS_VULKAN_INTERPRETER_MEMORY_HPP
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "buffer_writes.hpp"
#include "program.hpp"

namespace cotenant::test::interpreter {

struct Bytes {
  std::byte* begin = nullptr;
  std::size_t size = 0;
};

// A pointer has the place of its variable in the upper 16 bits (physical ones 0) and bytes from that variable's begin, or an address, below.
inline constexpr std::uint64_t offset_mask = (std::uint64_t{1} << 48) - 1;
constexpr std::uint64_t tagged(std::uint64_t variable, std::uint64_t offset) { return variable << 48 | (offset & offset_mask); }
constexpr std::uint64_t advanced(std::uint64_t pointer, std::int64_t bytes) {
  return (pointer & ~offset_mask) | ((pointer + static_cast<std::uint64_t>(bytes)) & offset_mask);
}

// Who touches memory, and when: numbers of barriers that came before, of the workgroup and of the subgroup.
struct Toucher {
  static constexpr std::uint32_t whole = 255;  // a matrix: which lane has which element is the device's secret
  std::uint32_t subgroup = 0, lane = 0, workgroup_barriers = 0, subgroup_barriers = 0;
  bool same_invocation(const Toucher& other) const { return subgroup == other.subgroup && lane == other.lane && lane != whole; }
  // Whether a barrier stands between this touch and a later one.
  bool before(const Toucher& later) const {
    return workgroup_barriers < later.workgroup_barriers || (subgroup == later.subgroup && subgroup_barriers < later.subgroup_barriers);
  }
  std::string text() const { return "subgroup " + std::to_string(subgroup) + (lane == whole ? " (a matrix)" : " lane " + std::to_string(lane)); }
};

// The workgroup's variables. Two invocations that touch one byte without a barrier between, one of which writes, are a fault; so is reading
// what nobody has written. Invocations may write the same value to one place.
class WorkgroupMemory {
 public:
  std::uint64_t add(std::size_t bytes) {
    const std::size_t first = bytes_.size();
    variables_.push_back({first, bytes});
    bytes_.resize(first + bytes);
    touched_.resize(first + bytes);
    return tagged(variables_.size() - 1, 0);
  }
  // Another workgroup begins.
  void forget() {
    for (Touched& one : touched_) one = {};
  }
  void read(std::uint64_t pointer, void* to, std::size_t bytes, const Toucher& by) {
    const std::size_t first = find(pointer, bytes);
    for (std::size_t i = first; i < first + bytes; ++i) {
      Touched& at = touched_[i];
      if (!at.written) fault("byte " + describe(pointer, i - first) + " is read by " + by.text() + ", but was not written before");
      if (!at.writer.same_invocation(by) && !at.writer.before(by))
        race(pointer, i - first, by, "read", at.writer, "written");
      if (!at.read || at.reader.before(by)) at.reader = by, at.others = false, at.everywhere = false;
      else if (!at.reader.same_invocation(by)) at.others = true, at.everywhere = at.everywhere || at.reader.subgroup != by.subgroup;
      at.read = true;
    }
    std::memcpy(to, bytes_.data() + first, bytes);
  }
  void write(std::uint64_t pointer, const void* from, std::size_t bytes, const Toucher& by) {
    const std::size_t first = find(pointer, bytes);
    const auto* const values = static_cast<const std::byte*>(from);
    for (std::size_t i = first; i < first + bytes; ++i) {
      Touched& at = touched_[i];
      if (at.written && !at.writer.same_invocation(by) && !at.writer.before(by) && bytes_[i] != values[i - first])
        race(pointer, i - first, by, "written", at.writer, "written");
      if (at.read && !at.reader.before(by) && (!at.reader.same_invocation(by) || at.others)) race(pointer, i - first, by, "written", at.reader, "read");
      // Readers of several subgroups: only the workgroup's barrier separates from all of them.
      if (at.read && at.everywhere && at.reader.workgroup_barriers == by.workgroup_barriers) race(pointer, i - first, by, "written", at.reader, "read");
      at.writer = by, at.written = true;
      bytes_[i] = values[i - first];
    }
  }

 private:
  struct Touched {
    Toucher writer, reader;
    bool written = false, read = false, others = false, everywhere = false;
  };
  struct Place {
    std::size_t first, bytes;
  };
  std::size_t find(std::uint64_t pointer, std::size_t bytes) const {
    const Place& place = variables_[pointer >> 48];
    const std::uint64_t offset = pointer & offset_mask;
    if (offset > place.bytes || bytes > place.bytes - offset)
      fault("an access to " + std::to_string(bytes) + " bytes from byte " + describe(pointer, 0) + ", which has " + std::to_string(place.bytes));
    return place.first + offset;
  }
  [[noreturn]] static void race(std::uint64_t pointer, std::size_t further, const Toucher& by, const char* does, const Toucher& other, const char* did) {
    fault("a race: byte " + describe(pointer, further) + " is " + does + " by " + by.text() + " and was " + did + " by " + other.text() +
        " with no barrier between");
  }
  static std::string describe(std::uint64_t pointer, std::size_t further) {
    const auto offset = static_cast<std::int64_t>((pointer & offset_mask) << 16) >> 16;
    return std::to_string(offset + static_cast<std::int64_t>(further)) + " of workgroup variable " + std::to_string(pointer >> 48);
  }

  std::vector<Place> variables_;
  std::vector<std::byte> bytes_;
  std::vector<Touched> touched_;
};

// What a dispatch reaches outside of its workgroups.
struct Arguments {
  std::array<std::uint32_t, 3> groups{1, 1, 1};
  Bytes push_constants;
  BufferWrites* writes = nullptr;                           // who writes to buffers; null: nobody asks
  bool backwards = false;                                   // the last workgroup and the last subgroup run first
  std::vector<Bytes> bindings;                              // of set 0
  std::function<Bytes(std::uint64_t)> allocation;           // that an address lies in, as physical pointers have it; of no bytes: none
};

}  // namespace cotenant::test::interpreter

#endif
