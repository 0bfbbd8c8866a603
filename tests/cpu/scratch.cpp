// scratch: per thread and per use, kept between calls, grown where it is too small.
#include "cotenant/cpu/scratch.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace cotenant;
using cpu::scratch;
using cpu::ScratchUse;

constexpr auto use_count = static_cast<std::size_t>(ScratchUse::count);

bool aligned(const float* memory) { return reinterpret_cast<std::uintptr_t>(memory) % 64 == 0; }

TEST_CASE("memory is aligned, kept between calls, and grows") {
  // On a thread of its own, so that no other test's requests are seen.
  std::thread([] {
    float* const first = scratch(ScratchUse::row, 100);
    REQUIRE(first != nullptr);
    CHECK(aligned(first));
    for (std::size_t i = 0; i < 100; ++i) first[i] = static_cast<float>(i);
    CHECK(scratch(ScratchUse::row, 100) == first);
    CHECK(scratch(ScratchUse::row, 1) == first);
    CHECK(scratch(ScratchUse::row, 0) == first);
    CHECK(first[99] == 99.f);
    float* const larger = scratch(ScratchUse::row, 100000);
    CHECK(aligned(larger));
    for (std::size_t i = 0; i < 100000; ++i) larger[i] = static_cast<float>(i);
    CHECK(scratch(ScratchUse::row, 50000) == larger);  // it does not shrink
    CHECK(larger[99999] == 99999.f);
    for (std::size_t size = 1; size < 2000; size += 37) CHECK(aligned(scratch(ScratchUse::accumulators, size)));
  }).join();
}

TEST_CASE("each use has its own") {
  std::thread([] {
    std::set<float*> distinct;
    for (std::size_t use = 0; use < use_count; ++use) {
      float* const memory = scratch(static_cast<ScratchUse>(use), 256);
      for (std::size_t i = 0; i < 256; ++i) memory[i] = static_cast<float>(use);
      distinct.insert(memory);
    }
    CHECK(distinct.size() == use_count);
    // None was written by another's use, also after one of them grew.
    scratch(ScratchUse::packed_left, 10000);
    for (std::size_t use = 0; use < use_count; ++use)
      if (static_cast<ScratchUse>(use) != ScratchUse::packed_left) CHECK(scratch(static_cast<ScratchUse>(use), 256)[255] == static_cast<float>(use));
  }).join();
}

TEST_CASE("each thread has its own") {
  float* const mine = scratch(ScratchUse::shared_rows, 64);
  mine[0] = 1;
  float* theirs = nullptr;
  std::thread([&] {
    theirs = scratch(ScratchUse::shared_rows, 64);
    theirs[0] = 2;
  }).join();
  CHECK(theirs != mine);
  CHECK(mine[0] == 1.f);
  CHECK(scratch(ScratchUse::shared_rows, 64) == mine);
}

#if !COTENANT_ADDRESS_SANITIZER  // which ends the program at such a request
TEST_CASE("more than there is is an error that says how much, and leaves a usable buffer") {
  std::thread([] {
    volatile std::size_t floats = std::size_t{1} << 60;
    std::string message;
    try {
      scratch(ScratchUse::row, floats);
    } catch (const OutOfMemory& error) {
      CHECK(error.code() == ErrorCode::out_of_memory);
      message = error.what();
    }
    CHECK(message.find(std::to_string(std::size_t{1} << 62) + " bytes") != std::string::npos);
    float* const memory = scratch(ScratchUse::row, 10);
    REQUIRE(memory != nullptr);
    memory[9] = 1;
    CHECK(memory[9] == 1.f);
  }).join();
}
#endif

}  // namespace
