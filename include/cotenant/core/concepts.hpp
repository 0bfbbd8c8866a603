// Storage: the contract of a place where bytes live. Its counterpart, the Backend contract, is ops/backend.hpp.
#ifndef COTENANT_CORE_CONCEPTS_HPP
#define COTENANT_CORE_CONCEPTS_HPP
#include <concepts>
#include <cstddef>
#include <string_view>

#include "cotenant/core/config.hpp"

namespace cotenant {

// What a storage hands out. `data` is an address that its backend understands; the host may use it only
// where Storage::host_accessible. `bytes` is what was really taken, padding included.
struct Allocation {
  void* data = nullptr;
  std::size_t bytes = 0;
};

// Where bytes live. A small copyable struct; it may carry state (a device, an arena, an open file), and every
// block remembers the instance that it came from.
//   backend          which kernels read these bytes: HostBackend, or the backend class itself
//   result           the storage that results computed from these bytes are put in
//   host_accessible  whether the host may dereference the address
//   writable         whether the bytes may ever be written
template <class S> concept Storage = std::copyable<S> && requires(S storage, const S& constant, Allocation allocation) {
  typename S::backend;
  typename S::result;
  { S::name() } -> std::convertible_to<std::string_view>;
  { S::host_accessible } -> std::convertible_to<bool>;
  { S::writable } -> std::convertible_to<bool>;
  { constant.result_storage() } -> std::same_as<typename S::result>;
  { storage.deallocate(allocation) } noexcept;
};

// A Storage that makes room for new bytes. Errors of allocate: OutOfMemory.
template <class S> concept AllocatingStorage = Storage<S> && S::writable && requires(S storage, std::size_t bytes) {
  { storage.allocate(bytes) } -> std::same_as<Allocation>;
};

// The backend of all host memory is whichever one the program includes (the SIMD CPU one, cpu/cpu.hpp);
// naming it by a tag keeps storages below the kernels.
struct HostBackend;

// The backend class that a storage's tag stands for; a storage may also name the class itself.
template <class Tag> struct backend_for { using type = Tag; };
template <Storage S> using backend_of = typename backend_for<typename S::backend>::type;

}  // namespace cotenant

#endif
