// TensorArena: tensors by name laid out in one sealed arena, each copied at most once; those in files stay there.
#ifndef COTENANT_IPC_TENSOR_ARENA_HPP
#define COTENANT_IPC_TENSOR_ARENA_HPP
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <fcntl.h>
#include <sys/stat.h>
#endif

#include "cotenant/ipc/arena_manifest.hpp"
#include "cotenant/share/tensor.hpp"
#include "cotenant/storage/shared_arena.hpp"

namespace cotenant {

// A tensor, or a lease, of any element type and host storage, under the name that others find it by.
struct NamedTensor {
  // Errors: InvalidArgument for an empty tensor.
  template <TensorLike X> requires(storage_type_of<X>::host_accessible) NamedTensor(std::string tensor_name, const X& tensor)
      : name(std::move(tensor_name)), dtype(dtype_of<element_type_of<X>>), block(as_tensor(tensor).block()), layout(as_tensor(tensor).layout()) {
    if (!block) raise<InvalidArgument>("cannot export '" + name + "': the tensor is empty (default-constructed or moved from)");
  }
  // For those who know the type at run time only: a layout inside a block that the host may read.
  NamedTensor(std::string tensor_name, DType type, BlockRef bytes, const Layout& where)
      : name(std::move(tensor_name)), dtype(type), block(std::move(bytes)), layout(where) {}

  std::string name;
  DType dtype;
  BlockRef block;
  Layout layout;
};

// Where tensors stay that lie in a mapped file.
enum class FileTensors {
  pass_on,  // the file's descriptor goes to the consumers: no copy, but they can read all of that file, and whoever may write it can cut it short
  copy,     // into the arena
};

struct TensorArena {
  SharedArena memory;
  std::vector<Descriptor> files;  // parts 1, 2, …
  ArenaManifest manifest;
};

namespace detail {

// The elements of any layout, in row-major order; there is at least one. `from` is where element offset 0 lies.
inline void gather_elements(std::byte* to, const std::byte* from, const Layout& layout, std::size_t element_bytes) {
  const std::size_t rank = layout.shape.rank();
  const auto element = static_cast<std::ptrdiff_t>(element_bytes);
  Shape index = Shape::filled(rank, 0);
  std::ptrdiff_t position = layout.offset * element;
  for (;;) {
    std::memcpy(to, from + position, element_bytes);
    to += element_bytes;
    std::size_t axis = rank;
    for (; axis > 0; --axis) {  // the next index, the last axis first
      const std::size_t last = axis - 1;
      position += layout.strides[last] * element;
      if (++index[last] < layout.shape[last]) break;
      position -= layout.strides[last] * element * static_cast<std::ptrdiff_t>(layout.shape[last]);
      index[last] = 0;
    }
    if (axis == 0) return;
  }
}

// Lays tensors out. Names on the same bytes stay on the same bytes; a view with gaps that nothing else shares is made dense.
class ArenaPlan {
 public:
  ArenaPlan(const std::vector<NamedTensor>& tensors, FileTensors file_tensors) : tensors_(tensors) {
    arena_.manifest.part_bytes.push_back(0);
    for (const NamedTensor& tensor : tensors) add(tensor, file_tensors);
    check_names();
    place();
  }

  // Errors: those of SharedArena::create or create_named.
  TensorArena write(const std::string& name, const std::string& label, std::map<std::string, std::string> metadata) && {
    arena_.manifest.metadata = std::move(metadata);
    arena_.manifest.part_bytes[0] = end_;
    const std::string text = write_manifest(arena_.manifest);
    if (text.size() > max_manifest_bytes)
      raise<InvalidArgument>("the names and the metadata of these tensors take " + std::to_string(text.size()) + " bytes, more than the " +
                             std::to_string(max_manifest_bytes) + " that consumers accept");
    const std::size_t bytes = checked_add(end_, text.size(), "the size of an arena");
    arena_.memory = name.empty() ? SharedArena::create(bytes, label) : SharedArena::create_named(name, bytes);
    std::byte* const to = arena_.memory.writable().data();
    for (const Piece& piece : pieces_) {
      const NamedTensor& tensor = tensors_[piece.tensor];
      const auto* const from = static_cast<const std::byte*>(tensor.block->data());
      if (piece.dense) gather_elements(to + piece.to, from, tensor.layout, size_of(tensor.dtype));
      else std::memcpy(to + piece.to, from + piece.first, piece.last - piece.first);
    }
    std::memcpy(to + end_, text.data(), text.size());
    // A named arena may be opened at any moment: it is one when its first eight bytes, the last to be written, say so.
    alignas(8) unsigned char header[arena_header_bytes] = {};
    write_arena_header(header, {end_, text.size()});
    std::memcpy(to + 8, header + 8, sizeof header - 8);
    std::uint64_t magic = 0;
    std::memcpy(&magic, header, sizeof magic);
    __atomic_store_n(reinterpret_cast<std::uint64_t*>(to), magic, __ATOMIC_RELEASE);
    arena_.memory.seal();
    return std::move(arena_);
  }

 private:
  // Bytes [first, last) of a tensor's block that are copied as they are, or made dense; to where.
  struct Piece {
    std::size_t tensor = 0, first = 0, last = 0, to = 0;
    bool dense = false;
  };

  void add(const NamedTensor& tensor, FileTensors file_tensors) {
    tensor.block->wait();
    ArenaTensor described{tensor.name, tensor.dtype, tensor.layout, 0};
    const std::size_t index = arena_.manifest.tensors.size(), element = size_of(tensor.dtype);
    const ElementRange range = element_range(tensor.layout);
    if (range.first == range.last) described.layout = contiguous_layout(tensor.layout.shape);  // nothing to place
    else if (const std::size_t part = file_tensors == FileTensors::pass_on ? file_part(tensor, described.layout) : 0; part != 0) described.part = part;
    else pieces_.push_back({index, static_cast<std::size_t>(range.first) * element, static_cast<std::size_t>(range.last) * element, 0, false});
    arena_.manifest.tensors.push_back(std::move(described));
  }

  void check_names() const {
    std::vector<std::string_view> names;
    for (const NamedTensor& tensor : tensors_) {
      if (tensor.name.empty() || tensor.name.size() > max_name_bytes)
        raise<InvalidArgument>("an exported tensor needs a name of 1 to " + std::to_string(max_name_bytes) + " bytes, but one has " +
                               std::to_string(tensor.name.size()));
      for (std::size_t at = 0; at < tensor.name.size();) {
        const DecodedCodePoint decoded = decode_utf8(tensor.name, at);
        if (!decoded.valid) raise<InvalidArgument>("the name of an exported tensor must be UTF-8, but '" + tensor.name + "' is not");
        at += decoded.length;
      }
      names.push_back(tensor.name);
    }
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) raise<InvalidArgument>("two tensors to export have the name '" + std::string(*twice) + "': consumers could not tell them apart");
  }

  // The part for the file that a tensor's pages come from, and the layout inside that file; 0 where there is no such file
  // any more, or another one under its name.
  std::size_t file_part(const NamedTensor& tensor, Layout& layout) {
#if defined(__linux__)
    if (tensor.block->storage_identity() != StorageIdentity::of<Mapped>()) return 0;
    const auto file = tensor.block->storage<Mapped>().file;
    if (!file || file->data == nullptr) return 0;
    const auto begin = reinterpret_cast<std::size_t>(file->data), data = reinterpret_cast<std::size_t>(tensor.block->data());
    if (data < begin || data - begin > file->bytes || (data - begin) % size_of(tensor.dtype) != 0) return 0;
    const std::pair identity(file->device, file->inode);
    auto known = file_parts_.find(identity);
    if (known == file_parts_.end()) {
      if (arena_.files.size() + 1 == max_parts) return 0;
      Descriptor descriptor(::open(file->path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
      struct ::stat status {};
      if (!descriptor || ::fstat(descriptor.number(), &status) != 0 || !S_ISREG(status.st_mode) || static_cast<std::size_t>(status.st_dev) != file->device ||
          static_cast<std::size_t>(status.st_ino) != file->inode || static_cast<std::size_t>(status.st_size) != file->bytes)
        return 0;
      arena_.files.push_back(std::move(descriptor));
      arena_.manifest.part_bytes.push_back(file->bytes);
      known = file_parts_.emplace(identity, arena_.files.size()).first;
    }
    layout.offset += static_cast<std::ptrdiff_t>((data - begin) / size_of(tensor.dtype));
    return known->second;
#else
    static_cast<void>(tensor), static_cast<void>(layout);
    return 0;
#endif
  }

  // Pieces of one block that overlap become one; each begins on a cache line.
  void place() {
    const auto block = [&](const Piece& piece) { return tensors_[piece.tensor].block.get(); };
    std::vector<Piece> wanted = std::move(pieces_);
    const auto before = [&](const Piece& a, const Piece& b) { return std::tuple(block(a), a.first) < std::tuple(block(b), b.first); };
    std::stable_sort(wanted.begin(), wanted.end(), before);
    pieces_.clear();
    for (std::size_t begin = 0, end = 0; begin < wanted.size(); begin = end) {
      Piece piece = wanted[begin];
      bool alike = true;  // all of them are the same view
      const NamedTensor& first = tensors_[piece.tensor];
      for (end = begin + 1; end < wanted.size() && block(wanted[end]) == block(piece) && wanted[end].first < piece.last; ++end) {
        const NamedTensor& other = tensors_[wanted[end].tensor];
        piece.last = std::max(piece.last, wanted[end].last);
        alike = alike && other.dtype == first.dtype && other.layout == first.layout;
      }
      const std::size_t element = size_of(first.dtype);
      // Never larger than what it reaches over: a stride of 0 repeats elements, and is kept.
      piece.dense = alike && !is_contiguous(first.layout.shape, first.layout.strides) && element_count(first.layout.shape) * element < piece.last - piece.first;
      const std::size_t bytes = piece.dense ? element_count(first.layout.shape) * element : piece.last - piece.first;
      // Views of several element types keep their distances, so the piece keeps its place in a cache line.
      piece.to = checked_add(end_, piece.dense || alike ? 0 : piece.first % alignment, "the size of an arena");
      for (std::size_t i = begin; i < end; ++i) {
        ArenaTensor& tensor = arena_.manifest.tensors[wanted[i].tensor];
        const std::size_t size = size_of(tensor.dtype);
        if (piece.dense) tensor.layout = contiguous_layout(tensor.layout.shape);
        // To the front of the piece, then to where the piece is: both distances are whole elements.
        else tensor.layout.offset -= static_cast<std::ptrdiff_t>(piece.first / size);
        tensor.layout.offset += static_cast<std::ptrdiff_t>(piece.to / size);
      }
      end_ = checked_multiply((checked_add(piece.to, bytes, "the size of an arena") + alignment - 1) / alignment, alignment, "the size of an arena");
      pieces_.push_back(piece);
    }
  }

  static constexpr std::size_t alignment = 64;  // a cache line, and the widest vector

  const std::vector<NamedTensor>& tensors_;
  TensorArena arena_;
  std::map<std::pair<std::size_t, std::size_t>, std::size_t> file_parts_;  // by device and inode
  std::vector<Piece> pieces_;
  std::size_t end_ = arena_header_bytes;
};

}  // namespace detail
}  // namespace cotenant

#endif
