// NamedArena: tensors in a POSIX shared-memory arena that others open by its name, for programs that have no common socket.
#ifndef COTENANT_IPC_NAMED_ARENA_HPP
#define COTENANT_IPC_NAMED_ARENA_HPP
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "cotenant/ipc/attached_tensors.hpp"
#include "cotenant/ipc/tensor_arena.hpp"

namespace cotenant {

// Copies the tensors into a named arena, which attach_named(name) opens for as long as this object lives; who has attached keeps the
// memory. Prefer export_tensors(): it knows who is attached, its memory is sealed against its own maker too, and nothing of it stays
// when its process is killed. A name does stay then, until the next NamedArena takes it over.
class NamedArena {
 public:
  // Errors: AlreadyRegistered (a living process has the name); InvalidArgument (the name, or those of the tensors);
  // OutOfMemory, IoError; Unsupported where this is not Linux.
  NamedArena(std::string name, const std::vector<NamedTensor>& tensors, std::map<std::string, std::string> metadata = {})
      : name_(std::move(name)), arena_(make(name_, tensors, std::move(metadata))) {}

  const std::string& name() const noexcept { return name_; }
  // With the header and the manifest.
  std::size_t bytes() const noexcept { return arena_.bytes(); }

 private:
  static SharedArena make(const std::string& name, const std::vector<NamedTensor>& tensors, std::map<std::string, std::string> metadata) {
    if (name.empty()) raise<InvalidArgument>("a named arena needs a name, such as \"/weights\"");
    return detail::ArenaPlan(tensors, FileTensors::copy).write(name, {}, std::move(metadata)).memory;
  }

  std::string name_;
  SharedArena arena_;
};

}  // namespace cotenant

#endif
