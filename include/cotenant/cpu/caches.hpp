// Caches: the sizes of this machine's caches, asked for once; kernels cut their work by them.
#ifndef COTENANT_CPU_CACHES_HPP
#define COTENANT_CPU_CACHES_HPP
#include <cstddef>

#include "cotenant/cpu/capabilities.hpp"

namespace cotenant::cpu {

// Bytes. Where the system does not say, what small machines have.
struct Caches {
  std::size_t level1 = 32 << 10, level2 = 512 << 10, level3 = 4 << 20;
};

// Asking takes microseconds, in a virtual machine tens of them.
inline const Caches& caches() {
  static const Caches result = [] {
    const Capabilities machine = machine_capabilities();
    Caches found;
    if (machine.level1_data_cache != 0) found.level1 = machine.level1_data_cache;
    if (machine.level2_cache != 0) found.level2 = machine.level2_cache;
    // A machine without a third level has its second for this.
    found.level3 = machine.level3_cache != 0 ? machine.level3_cache : machine.level2_cache != 0 ? machine.level2_cache : found.level3;
    return found;
  }();
  return result;
}

// Whether an operation that reads and writes this many bytes should write past the caches: they hold neither side then, and would
// read the result's lines only to see them overwritten.
inline bool exceeds_caches(std::size_t bytes) { return bytes > (std::size_t{1} << 20) && bytes > caches().level3; }

}  // namespace cotenant::cpu

#endif
